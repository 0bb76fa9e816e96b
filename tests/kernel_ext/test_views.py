"""What the cell of a turn shows and keeps, in a real ipykernel without widgets."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

FOREIGN = "application/x-foreign+json"
SHOW_FOREIGN = f"""
handle = display({{{FOREIGN!r}: {{}}, "text/plain": "first"}}, raw=True, display_id="mine")
print("after" + " it")
"""
UPDATE_FOREIGN = f"handle.update({{{FOREIGN!r}: {{}}, 'text/plain': 'second'}}, raw=True)"


def script(*codes: str, end: str = 'say = "All done."') -> str:
    """A turn with a step for each code, and then the end."""
    steps = (
        '[[turn.response]]\n[[turn.response.call]]\nname = "run_cell"\n'
        f'arguments = {{ title = "Step {n}", code = {json.dumps(code)} }}\n'
        for n, code in enumerate(codes)
    )
    return f"[[turn]]\n{''.join(steps)}[[turn.response]]\n{end}\n"


def data(ran: Any) -> list[dict[str, Any]]:
    return [output["data"] for output in ran.outputs if "data" in output]


def test_a_turn_of_four_times_the_steps_sends_four_times_the_bytes(agent):
    def sent(steps: int) -> int:
        code = "print('a line of some length\\n' * 80); import time; time.sleep(0.05)"
        kernel, _ = agent(script(*[code] * steps), INKERNEL_VIEW="static")
        cell, size = kernel.start("%%agent\nGo."), 0
        while True:
            message = kernel.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") == cell:
                size += len(json.dumps(message["content"]))
                if message["content"].get("execution_state") == "idle":
                    return size

    assert sent(40) < 5 * sent(10)


@pytest.mark.parametrize("allow_stdin", [False, True], ids=["headless", "a front end with widgets"])
def test_the_cell_keeps_one_output_in_order_with_each_output_once(agent, allow_stdin):
    long = "print(f'begins {n}', *range(1000), f'ends {n}')"
    kernel, _ = agent(script("n = 1\n" + long, "n = 2\n" + long))
    ran = kernel.run("%%agent\nGo.", allow_stdin=allow_stdin)
    (kept,) = data(ran)
    html, markdown, text = (kept[f"text/{kind}"] for kind in ("html", "markdown", "plain"))
    for form in (html, markdown):
        places = [form.index(f"{word} {n}") for n in (1, 2) for word in ("begins", "ends")]
        assert places == sorted(places)
    assert html.count(" 500 501 ") == 2
    assert not any(" 500 501 " in form for form in (markdown, text))
    assert "begins 2" in text and text.endswith(ran.outputs[-1]["data"]["text/plain"][-20:])
    assert ran.outputs[-1]["metadata"]["inkernel"]["status"] == "completed"


def test_what_a_step_leaves_to_the_notebook_is_below_the_turn_as_it_was_updated_last(agent):
    kernel, _ = agent(script(SHOW_FOREIGN, UPDATE_FOREIGN), INKERNEL_VIEW="static")
    turn, foreign = data(kernel.run("%%agent\nGo."))
    assert "after it" in turn["text/html"] and "All done." in turn["text/html"]
    assert foreign == {FOREIGN: {}, "text/plain": "second"}
    cell = kernel.start("handle.update({'text/plain': 'third'}, raw=True)")
    assert kernel.wait_for(cell, "update_display_data")["transient"] == {"display_id": "mine"}


def test_a_cell_that_shows_something_else_loses_nothing(agent):
    kernel, _ = agent(script("print('from' + ' the step')", SHOW_FOREIGN), INKERNEL_VIEW="static")
    ran = kernel.run(
        "print('mine')\nawait get_ipython().run_cell_magic('agent', '', 'Go.')\n'my result'"
    )
    assert (
        ran.outputs[0]["text"] == "mine\n" and "my result" in ran.outputs[-1]["data"]["text/plain"]
    )
    markup = [each.get("text/html") or each["text/plain"] for each in data(ran)]
    whole = "".join(markup)
    for part in (
        "Step 0",
        "from the step",
        "Step 1",
        "shown below: first",
        "after it",
        "All done.",
    ):
        assert whole.count(part) == 1, part
    assert {FOREIGN: {}, "text/plain": "first"} in data(ran)
    assert "completed" in whole and "as of" not in whole
    assert any("inkernel" in output.get("metadata", {}) for output in ran.outputs)


@pytest.mark.parametrize("line", ["%reload_ext inkernel", "pass"], ids=["earlier", "later"])
def test_what_a_callback_that_is_older_or_newer_shows_before_a_turn_is_kept(agent, line):
    kernel, _ = agent(script("print('from' + ' the step')") * 2, INKERNEL_VIEW="static")
    events = "get_ipython().events.{}('pre_run_cell', before)"
    kernel.run(f"def before(info): print('at ten')\n{events.format('register')}\n{line}")
    assert kernel.run(line).text == "at ten\n"
    first, *turn = kernel.run("%%agent\nGo.").outputs
    assert first["text"] == "at ten\n"
    whole = "".join(each["data"]["text/html"] for each in turn)
    assert whole.count("from the step") == whole.count("All done.") == 1
    kernel.run(events.format("unregister"))
    (turn,) = data(kernel.run("%%agent\nGo."))
    assert "All done." in turn["text/markdown"]


def test_two_turns_in_one_cell_are_both_kept(agent):
    kernel, _ = agent(script(end='say = "One."') + script(end='say = "Two."'))
    ask = "await get_ipython().run_cell_magic('agent', '', {!r})"
    ran = kernel.run("\n".join(map(ask.format, ("first", "second"))))
    whole = "".join(each["text/html"] for each in data(ran))
    assert whole.index("One.") < whole.index("Two.")


def test_a_turn_that_fails_is_kept_above_its_error(agent):
    refused = 'say = "x"\nfault = { status = 401 }'
    kernel, _ = agent(script("print('from the step')", end=refused), INKERNEL_VIEW="static")
    turn, error = kernel.run("%%agent\nGo.").outputs
    assert "from the step" in turn["data"]["text/html"]
    assert "failed" in turn["data"]["text/plain"]
    assert error["ename"] == "AuthError"


def test_what_a_dead_kernel_leaves_is_true(agent, tmp_path):
    dies = "import os, time\nprint('half' + '-way', flush=True)\n"
    dies += "while not os.path.exists('now'):\n    time.sleep(0.05)\nos._exit(1)"
    kernel, _ = agent(
        script("print('whole')", dies), INKERNEL_VIEW="static", INKERNEL_POLICY="full"
    )
    ran, shown = kernel.run("pass"), {}
    cell = kernel.start("%%agent\nGo.")
    while "half-way" not in str(ran.outputs):
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") == cell:
            kernel.keep(message, ran, shown)
    (tmp_path / "now").touch()
    whole = "".join(each["text/html"] for each in data(ran))
    assert whole.index("whole") < whole.index("Step 1") < whole.index("half-way")
    assert "as of " in whole and ": running · 2 steps" in whole
    text = "\n".join(each["text/plain"] for each in data(ran))
    for part in ("scripted/test", "✓ Step 0", "\nwhole\n", "Step 1", "\nhalf-way\n", ": running"):
        assert text.count(part) == 1, (part, text)
    assert "at work" not in whole + text and "inkernel" not in whole + text
