"""An output that is too long is cut for the model, and the whole can be read by its handle."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from inkernel.agent.dispatch.bounds import bounded
from inkernel.agent.protocol.items import image_part, text_part
from inkernel.agent.testing import play
from inkernel.agent.text.tokens import estimate
from inkernel.agent.tools.tool import ToolOutput, text_output

Make = Callable[..., Any]
LONG = "".join(f"{n} rain {n * 1.5}\n" for n in range(3_000))


def test_a_short_output_is_the_same_object(session_for: Make):
    output = text_output("short")
    assert bounded(output, session_for(play([]))) is output


def test_a_long_text_is_cut_and_kept_whole(session_for: Make):
    session = session_for(play([]))
    cut = bounded(text_output(LONG, "error"), session)
    assert cut.status == "error"
    assert estimate(cut.text) <= session.settings.output_tokens * 1.25
    assert "left out" in cut.text and cut.text.startswith("0 rain") and "2999 rain" in cut.text
    assert session.outputs.lines("out-1").cut(1, 3_000) == LONG


def test_a_run_is_left_as_it_is_because_its_parts_were_fitted(session_for: Make):
    output = replace(text_output(LONG), run="out-7")
    assert bounded(output, session_for(play([]))) is output


def test_only_the_last_images_are_sent_and_the_others_counted(session_for: Make):
    pictures = [image_part(f"data:image/png;base64,{n}") for n in range(6)]
    cut = bounded(ToolOutput((text_part("six"), *pictures)), session_for(play([])))
    assert list(cut.parts[-4:]) == pictures[-4:]
    assert cut.text.splitlines()[:2] == ["six", "[2 earlier images are not sent to you]"]
