"""`%%agent` in a real ipykernel over each dialect: looks, steps, figures, ■, undo, resume."""

import json
from collections.abc import Callable
from typing import Any, get_args

import pytest

from inkernel.agent.config.settings import DialectName

from ..agent.dialects import chat_rules, messages_rules

pytestmark = pytest.mark.kernel

RULES: dict[str, Callable[[bytes], None]] = {
    "messages": messages_rules.check,
    "chat": chat_rules.check,
}
PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()"
WAIT = "import time\nprint('half' + '-way')\ntime.sleep(60)"
each = pytest.mark.parametrize("dialect", get_args(DialectName))


def step(*codes: str, title: str = "a step", think: str = "") -> str:
    """A response of steps in parallel, in a script's TOML."""
    calls = "".join(
        '[[turn.response.call]]\nname = "run_cell"\n[turn.response.call.arguments]\n'
        f"title = {json.dumps(title)}\ncode = {json.dumps(code)}\n"
        for code in codes
    )
    thought = f"reasoning = {json.dumps(think)}\n" if think else ""
    return f"[[turn.response]]\n{thought}{calls}"


def say(text: str) -> str:
    return f"[[turn.response]]\nsay = {json.dumps(text)}\n"


def turn(*responses: str, on: str = "") -> str:
    return f"[[turn]]\n{f'on = {json.dumps(on)}' if on else ''}\n{''.join(responses)}"


@pytest.fixture
def speaking(agent: Any) -> Any:
    """Starts a kernel that speaks a dialect, and the server. `checked()`: its valid requests."""

    def start(dialect: str, script: str, **environ: str):
        kernel, server = agent(script, INKERNEL_DIALECT=dialect, INKERNEL_EFFORT="high", **environ)

        def checked() -> list[str]:
            for body in server.requests:
                RULES.get(dialect, json.loads)(body)
            return [body.decode() for body in server.requests]

        return kernel, checked

    return start


@each
def test_a_turn_looks_runs_repairs_and_leaves_its_result(speaking: Any, dialect: str):
    script = turn(
        step("total = sum(nmbers)", think="I add."),
        step("total = sum(numbers)\ntotal", "1 + 1", think="A typing error."),
        say("They add up to 6."),
    )
    kernel, checked = speaking(dialect, script)
    kernel.run("numbers = [1, 2, 3]")
    ran = kernel.run("%%agent\nAdd up $`numbers`, please.")
    assert ran.status == "ok"
    assert "They add up to 6." in ran.text
    assert "A typing error." in ran.text
    assert kernel.run("total").text == "6"
    requests = checked()
    assert len(requests) == 3
    assert "NameError" in requests[1]


@each
def test_a_figure_goes_to_the_model(speaking: Any, dialect: str):
    pytest.importorskip("matplotlib")
    kernel, checked = speaking(dialect, turn(step(PLOT), say("It rises.")))
    assert kernel.run("%%agent\nPlot.").status == "ok"
    assert "iVBORw0KGgo" in checked()[1]


@each
def test_a_stopped_step_is_told_and_the_next_turn_goes_on(speaking: Any, dialect: str):
    script = turn(step(WAIT, "2 + 2")) + turn(say("Back again."), on="and now")
    kernel, checked = speaking(dialect, script)
    cell = kernel.start("%%agent\nGo.")
    while True:
        message = kernel.client.get_iopub_msg(timeout=60)
        if ">half-way" in message["content"].get("data", {}).get("text/html", ""):
            break
    kernel.interrupt()
    assert kernel.finish(cell).ename == "TurnInterrupted"
    assert kernel.run("%%agent\nAnd now?").status == "ok"
    assert "interrupted" in checked()[-1]


@each
def test_a_turn_is_undone_and_its_session_resumed(speaking: Any, dialect: str, tmp_path: Any):
    script = turn(step("rows.append(4)", think="One more."), say("Done."))
    script += turn(step("len(rows)"), say("Now there are three again."), on="how many")
    first, checked = speaking(dialect, script, INKERNEL_DATA_DIR=str(tmp_path / "data"))
    first.run("rows = [1, 2, 3]")
    assert first.run("%%agent\nAppend.").status == "ok"
    first.run("%agent undo")
    assert first.run("rows").text == "[1, 2, 3]"
    first.run("%agent new")
    resumed = first.run("%agent resume")
    assert resumed.status == "ok"
    ran = first.run("%%agent\nHow many rows are there?")
    assert "Now there are three again." in ran.text
    assert "One more." in checked()[-1]


@each
def test_the_status_and_the_models_of_the_server_are_shown(speaking: Any, dialect: str):
    kernel, _ = speaking(dialect, turn(say("Hello.")))
    assert "lists 1" in kernel.run("%agent models").text
    assert "API" in kernel.run("%agent model").text
    assert kernel.run("%%agent\nHi.").status == "ok"
    assert "tokens" in kernel.run("%agent").text
