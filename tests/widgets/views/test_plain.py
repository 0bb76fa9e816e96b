"""A turn in a terminal."""

import io
import json
import re
from collections.abc import Callable, Sequence

import pytest

from inkernel.agent.protocol.cells import DisplayOutput, ErrorOutput, StreamOutput
from inkernel.agent.protocol.events import (
    ApprovalNeeded,
    Compacted,
    Compacting,
    Event,
    HostedProgress,
    ItemDone,
    Notice,
    OutputShown,
    ReasoningDelta,
    Retrying,
    TextDelta,
    ToolEnded,
    TurnEnded,
    TurnStarted,
    Usage,
)
from inkernel.agent.protocol.items import parse_item
from inkernel.widgets import open_view
from inkernel.widgets.views.plain import PlainView

GOLDEN = """\
model-1 · local

**Plan**

I will look.

▸ inspect · names=[df]
  df: 3 rows
✓ 0.2 s

▸ Plot it
  print('hello')
  plot()
hello
[figure 640×480]
E: bad
✗ failed · 0.8 s

All **done**.

completed · 6.5 s · 2 steps, 2 samples · 3,000 tokens in (800 cached), 60 out · $0.0123
"""


def printed(events: Sequence[Event], colour: bool = False, width: int = 100) -> str:
    pieces: list[str] = []
    view = PlainView(pieces.append, width, colour)
    for event in events:
        view.show(event)
    view.close()
    return "".join(pieces)


def test_a_turn_reads_from_top_to_bottom(turn: list[Event]) -> None:
    assert printed(turn) == GOLDEN


def test_colour_adds_nothing_but_colour(turn: list[Event]) -> None:
    coloured = printed(turn, colour=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == GOLDEN
    assert "\x1b[2m**Plan**" in coloured
    assert "\x1b[31mE\x1b[0m: bad" in coloured


def test_words_are_printed_as_they_come(said: Callable[[str], Event]) -> None:
    pieces: list[str] = []
    view = PlainView(pieces.append)
    for text in ("a ", "b"):
        view.show(TextDelta(text=text))
        assert pieces[-1] == text
    view.show(said("a b c"))
    assert "".join(pieces) == "\na b c\n"


def test_words_that_came_whole_are_printed_whole(said: Callable[[str], Event]) -> None:
    assert printed([said("one"), said("one")]) == "\none\n\none\n"


def test_what_is_asked_is_printed(called: Callable[..., Event]) -> None:
    asked = ApprovalNeeded(call_id="c", reason="policy ask")
    text = printed([called("c", "run_cell", code="rm()"), asked])
    assert text == "\n▸ run cell\n  rm()\n"


def test_a_question_about_a_call_from_code_names_the_tool_and_its_arguments(
    called: Callable[..., Event],
) -> None:
    asked = ApprovalNeeded(
        call_id="c.1", reason="policy ask", name="notebook_edit", arguments={"cell": "ab12"}
    )
    text = printed([called("c", "run_cell", code="await f()"), asked])
    assert text.endswith("\n▸ notebook edit · cell=ab12\n")


def test_a_refusal_says_why(called: Callable[..., Event]) -> None:
    refused = ToolEnded(call_id="c", status="denied", text="The user said no.", seconds=0)
    text = printed([called("c", "run_cell", code="rm()"), refused])
    assert text.endswith("  The user said no.\n⊘ denied\n")


def test_a_call_id_used_again_ends_the_later_step(called: Callable[..., Event]) -> None:
    events = [
        event
        for text in ("first", "second")
        for event in (
            called("c", "inspect"),
            ToolEnded(call_id="c", status="ok", text=text, seconds=0),
        )
    ]
    assert printed(events).split() == ["▸", "inspect", "first", "▸", "inspect", "second"]


def test_retries_and_notices_are_lines_of_their_own() -> None:
    end = TurnEnded(
        status="failed",
        answer="",
        usage=Usage(),
        cost=None,
        seconds=1,
        samples=1,
        error="No key.",
        hint="Set it.",
    )
    retry = Retrying(attempt=1, attempts=2, wait=0.5, cause="reset")
    assert printed([TextDelta(text="half"), retry, Notice(text="news"), end]) == (
        "\nhalf\n\nThe answer above was taken back.\n"
        "↻ Trying again in 0.5 s (attempt 1 of 2): reset\n• news\n"
        "\nfailed · 1.0 s · 0 steps, 1 sample\n"
    )


def test_room_that_is_made_is_a_line_for_the_wait_and_one_for_what_came_of_it(
    making: Compacting, made: Compacted
) -> None:
    assert printed([TextDelta(text="half"), making, made]) == (
        "\nhalf\n\nThe answer above was taken back.\n"
        "● Making room: 26,012 of 32,000 tokens are in the window …\n"
        "• Made room in 12 s: 26,012 → 10,944 tokens"
        " (3 long outputs cut, 12 runs in the digest).\n"
    )


def test_room_that_was_not_made_is_said_before_the_turn_ends(making: Compacting) -> None:
    end = TurnEnded(status="interrupted", answer="", usage=Usage(), cost=None, seconds=1, samples=1)
    assert printed([making, end]) == (
        "● Making room: 26,012 of 32,000 tokens are in the window …\n"
        "■ Making room was interrupted.\n"
        "\ninterrupted · 1.0 s · 0 steps, 1 sample\n"
    )


def test_a_progress_bar_leaves_lines_and_no_carriage_return() -> None:
    bars = [
        OutputShown(call_id="c", output=StreamOutput(name="stderr", text=text))
        for text in ("\r10%\r20%", "\r30%", "\r\n")
    ]
    assert printed(bars) == "20%\n30%\n"


def test_a_line_of_ours_is_never_wider_than_the_terminal(called: Callable[..., Event]) -> None:
    lines = printed([called("c", "inspect", names=["name"] * 99)], width=40).splitlines()
    assert max(map(len, lines)) == 40


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(
    "evil",
    ["\x1b]0;title\x07", "\x1b[2J\x1b[H", "\x9b2J", "\x1b", "\x07\x08\x7f", "\x1bP+q\x1b\\", "\r"],
)
def test_no_control_character_of_model_or_tool_reaches_the_terminal(
    evil: str, colour: bool, called: Callable[..., Event], said: Callable[[str], Event]
) -> None:
    outputs = (
        StreamOutput(name="stdout", text=f"x{evil}\x1b[32my"),
        DisplayOutput(data={"text/plain": evil}),
        ErrorOutput(ename=evil, evalue=evil, traceback=(evil,)),
    )
    events: list[Event] = [
        TurnStarted(session="s", turn=1, model=evil, provider=evil),
        ReasoningDelta(text=evil),
        TextDelta(text=evil),
        said("x" + evil),
        called("c", evil, title=evil, code=evil),
        ApprovalNeeded(call_id="c", reason=evil),
        *(OutputShown(call_id="c", output=output) for output in outputs),
        ToolEnded(call_id="c", status="error", text=evil, seconds=1),
        Notice(text=evil),
        Compacted(before=2, after=1, dropped=evil, notes="none", usage=Usage(), seconds=1),
    ]
    text = printed(events, colour)
    if colour:
        text = re.sub(r"\x1b\[(?:0|1|2|31|32)m", "", text)
    assert all(char.isprintable() or char == "\n" for char in text)


def test_an_escape_split_over_two_deltas_loses_its_escape() -> None:
    assert printed([TextDelta(text="\x1b"), TextDelta(text="[2J")]) == "\n[2J\n"


def test_the_terminal_view_passes_what_captures_output_later(
    monkeypatch: pytest.MonkeyPatch, said: Callable[[str], Event]
) -> None:
    terminal, captured = io.StringIO(), io.StringIO()
    monkeypatch.setattr("sys.stdout", terminal)
    view = open_view("plain")
    monkeypatch.setattr("sys.stdout", captured)
    view.show(said("words"))
    view.close()
    assert (terminal.getvalue(), captured.getvalue()) == ("\nwords\n", "")


def test_what_ran_at_the_server_is_printed_with_its_sources() -> None:
    action = {"query": "q", "sources": [{"url": "https://a.example/x"}]}
    item = {"type": "web_search_call", "id": "w", "action": action}
    progress = HostedProgress(item_id="w", kind="web_search_call", status="searching")
    assert printed([progress, ItemDone(item=parse_item(item))]) == (
        "\n✓ Web search · q\n[1] https://a.example/x\n"
    )


def test_an_answer_is_followed_by_its_sources_and_a_refusal_is_marked() -> None:
    annotations = [{"type": "file_citation", "filename": "a.csv"}]
    parts = [
        {"type": "output_text", "text": "Yes.", "annotations": annotations},
        {"type": "refusal", "refusal": " No."},
    ]
    item = parse_item({"type": "message", "role": "assistant", "content": parts})
    assert printed([TextDelta(text="Yes."), ItemDone(item=item)]) == (
        "\nYes. No.\n⊘ The model refused\n[1] a.csv\n"
    )


def test_an_unknown_item_is_one_line() -> None:
    item = ItemDone(item=parse_item({"type": "acme:x"}))
    assert (
        printed([item]) == "• The model sent an item of a kind unknown here, acme:x. It is kept.\n"
    )


def test_edits_are_shown_whole_not_as_json() -> None:
    edits = [
        {"op": "insert", "kind": "markdown", "source": "# Rain"},
        {"op": "replace", "cell": "abcd", "old": "x", "source": "a = 1\nb = 2"},
    ]
    item = {"type": "function_call", "call_id": "e", "name": "notebook_edit"}
    call = parse_item({**item, "arguments": json.dumps({"edits": edits})})
    shown = printed([ItemDone(item=call)])
    assert "▸ notebook edit\n" in shown and "{" not in shown
    assert "1. insert · markdown\n" in shown and "    # Rain\n" in shown
    assert "2. replace · abcd\n" in shown and "    a = 1\n" in shown and "    b = 2\n" in shown
