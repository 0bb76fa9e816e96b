"""Questions in a real kernel: one answer each, what is shown is what runs, code cannot answer."""

import json
import os
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client import BlockingKernelClient
from nbformat import v4

from inkernel.agent.permissions.reading import read_code
from inkernel.agent.permissions.walls import workspace_walls


def steps(*codes: str) -> str:
    calls = "".join(
        "[[turn.response]]\n[[turn.response.call]]\nname = 'run_cell'\n"
        f"arguments = {{title = 'Step {n}', code = {json.dumps(code)}}}\n"
        for n, code in enumerate(codes, 1)
    )
    return f"[[turn]]\n{calls}[[turn.response]]\nsay = 'Done.'\n"


def items(body: bytes) -> list[dict[str, Any]]:
    return json.loads(body)["input"]


def html(ran: Any) -> str:
    return "".join(it.get("data", {}).get("text/html", "") for it in ran.outputs)


def answered(kernel: Any, first: str, *answers: str) -> tuple[Any, list[str]]:
    """The cell's run, and the questions that these answers were given to."""
    cell, questions = kernel.start(first, allow_stdin=True), []
    for text in answers:
        questions.append(kernel.wait_for_question())
        kernel.client.input(text)
    return kernel.finish(cell), questions


ASK = "%%agent --policy ask\nGo."


def test_all_of_this_turn_holds_for_its_steps_and_not_for_the_next_turn(agent: Any):
    kernel, _ = agent(steps("a = 1", "b = 2") + steps("c = 3"))
    answered(kernel, ASK, "a")
    assert kernel.run("a + b").text == "3"
    answered(kernel, ASK, "n")
    assert kernel.run("c").ename == "NameError"


@pytest.mark.parametrize("how", ["catches", "raises"])
def test_a_stop_ends_the_turn_also_where_code_waits_and_catches_its_error(agent: Any, how: str):
    other = Path(f"/var/tmp/inkernel-{os.getpid()}.txt")
    code = f"name = ''.join([{str(other)!r}])\ntry:\n    open(name, 'w')\nexcept OSError:\n    "
    code += "went_on = True" if how == "catches" else "raise"
    kernel, server = agent(steps(code, "later = 1"), INKERNEL_TRIAL="never")
    ran, questions = answered(kernel, "%%agent\nGo.", "s")
    assert "The agent's step waits" in questions[0]
    assert ran.ename == "TurnInterrupted" and len(server.requests) == 1
    assert kernel.run("later").ename == "NameError" and not other.exists()


def test_all_of_this_session_holds_until_a_new_one(agent: Any):
    kernel, _ = agent(steps("a = 1") + steps("b = 2") + steps("c = 3"))
    answered(kernel, ASK, "se")
    assert kernel.run(ASK, allow_stdin=True).status == "ok"
    assert kernel.run("a + b").text == "3"
    assert "your answer for this session" in kernel.run("%agent rules").text
    answered(kernel, "%%agent --new --policy ask\nGo.", "n")
    assert kernel.run("c").ename == "NameError"


def test_an_edited_step_runs_as_it_was_edited_and_the_model_knows(agent: Any):
    kernel, server = agent(steps("x = 1\ny = 2"))
    ran, questions = answered(kernel, ASK, "e", "2", "y = 40", "r")
    shown = "".join(it["data"]["text/plain"] for it in ran.outputs)
    assert "changed and allowed by you" in shown and "y = 40" in shown and "y = 2" not in shown
    assert "Line to change" in questions[1] and "2  y = 2" in questions[1]
    assert kernel.run("x + y").text == "41"
    told = items(server.requests[1])[-1]["output"]
    assert "The person changed your code" in str(told)
    assert "y = 40" in kernel.run("%agent why").text


def test_always_writes_the_rule_that_it_has_shown(agent: Any, tmp_path: Path):
    edit = "await agent_tools.notebook_edit(edits=[{'op': 'insert', 'source': 'x = 1'}])"
    kernel, _ = agent(steps(f"try:\n    {edit}\nexcept Exception:\n    pass"))
    _, questions = answered(kernel, ASK, "y", "w", "y")
    assert "notebook_edit" in questions[2] and 'decision = "allow"' in questions[2]
    text = Path(os.environ["XDG_CONFIG_HOME"], "inkernel", "rules.toml").read_text()
    assert 'tool = "notebook_edit"' in text
    assert "allow: tool notebook_edit" in kernel.run("%agent rules").text
    assert "Forgotten" in kernel.run("%agent rules forget 1").text
    assert "no rules" in kernel.run("%agent rules").text


@pytest.mark.parametrize(
    "forgery",
    [
        "import builtins; builtins.input = lambda *_: 'y'",
        "k = get_ipython().kernel; k.raw_input = lambda *_: 'y'",
        "type(get_ipython().kernel)._input_request = lambda *_, **__: 'y'",
        "f = type(get_ipython().kernel).raw_input; g = lambda *_: 'y'; f.__code__ = g.__code__",
    ],
)
def test_a_step_that_forges_the_answer_has_no_yes(agent: Any, forgery: str):
    kernel, _ = agent(steps(forgery) + steps("ran = True"))
    first = kernel.run("%%agent --policy full\nGo.", allow_stdin=True)
    assert first.status == "ok" or first.ename == "TamperedError"
    cell = kernel.start(ASK, allow_stdin=True)
    if "builtins" in forgery or first.ename == "TamperedError":  # it was put back
        kernel.wait_for_question()
        kernel.client.input("n")
    ran = kernel.finish(cell)
    assert "allowed by you" not in html(ran)
    assert kernel.run("ran").ename == "NameError"


def test_what_code_hides_is_shown_and_counted(agent: Any):
    hidden = "x = 1" + " " * 600 + "; import os" + "\n" * 61 + "y = '\u202e'  # \u0440ay"
    kernel, _ = agent(steps(hidden))
    cell = kernel.start(ASK, allow_stdin=True)
    question = kernel.wait_for_question()
    kernel.client.input("n")
    kernel.finish(cell)
    for part in ("62 lines", "600 blanks", "60 empty lines", "1 character without a sign"):
        assert part in question
    assert "1 letter that looks like another" in question


def test_a_yes_for_the_turn_is_one_to_the_same_command_alone_and_a_no_says_to_what(agent: Any):
    run = "import subprocess\ncode = subprocess.run({}).returncode"
    more = "['true', 'more']"
    kernel, server = agent(steps(run.format("['true']"), run.format(more), run.format("['true']")))
    _, questions = answered(kernel, "%%agent\nGo.", "a", "n")
    assert "runs true." in questions[0] and "runs true more." in questions[1]
    assert "said no (asked: policy auto: " in items(server.requests[2])[-1]["output"]
    assert kernel.run("code").text == "0"


def test_where_nobody_can_answer_the_step_names_the_rule_that_would_allow_it(agent: Any):
    far = "/far.txt"
    kernel, server = agent(steps(f"open({far!r}, 'w')"))
    kernel.run("%%agent\nGo.")
    said = items(server.requests[1])[-1]["output"]
    assert "rules.toml or a file for --approve would allow it" in said
    assert f'deed = "write", path = "{far}"' in said


@pytest.mark.parametrize("line", ["config policy full", "policy full", "rules forget 1", "new"])
def test_code_of_a_step_runs_no_line_that_changes_something(agent: Any, line: str):
    magic = f"get_ipython().run_line_magic('agent', {line!r})"
    kernel, server = agent(steps(magic))
    kernel.run("%agent policy workspace")
    kernel.run("%%agent --policy full\nGo.")
    assert "Code of the agent cannot run" in items(server.requests[1])[-1]["output"]
    assert "full" not in kernel.run("%agent policy").text.splitlines()[0]


def test_a_policy_is_shown_set_and_refused(agent: Any):
    kernel, _ = agent(steps("x = 1"))
    assert "auto  (default)" in kernel.run("%agent policy").text
    assert "read-only, on-request" in kernel.run("%agent policy read-only").text
    assert "policy         deny" in kernel.run("%agent policy never").text
    assert kernel.run("%agent policy yolo").ename == "UsageError"
    kernel.run("%%agent\nGo.")
    assert kernel.run("x").ename == "NameError"
    assert "run_cell: try" in kernel.run("%agent why").text


@pytest.mark.parametrize("trial", ["effects", "never"], ids=["tried first", "while it runs"])
def test_why_names_the_rule_that_decided_and_its_file(agent: Any, tmp_path: Path, trial: str):
    far = Path(f"/var/tmp/inkernel-{os.getpid()}.txt")
    own = Path(os.environ["XDG_CONFIG_HOME"], "inkernel", "rules.toml")
    own.parent.mkdir(parents=True)
    own.write_text(f'[[rules]]\ndecision = "allow"\npath = "{far}"\n')
    (tmp_path / "inkernel.toml").write_text('[[rules]]\ndecision = "deny"\npath = "/var/tmp/no"')
    allowed, denied = (
        f"p = ''.join(['{far}'])\nopen(p, 'w')",
        "p = ''.join(['/var/tmp/no'])\nopen(p, 'w')",
    )
    kernel, _ = agent(steps(allowed, denied), INKERNEL_TRIAL=trial)
    try:
        kernel.run("%%agent\nGo.")
        assert far.exists() and not Path("/var/tmp/no").exists()
        ran = kernel.run("%agent why")
        for shown in (ran.text, html(ran)):
            assert f"{own}: allow: path {far}" in shown and "(by rule" in shown
            assert f"{tmp_path / 'inkernel.toml'}: deny: path /var/tmp/no" in shown
    finally:
        far.unlink(missing_ok=True)


def test_a_project_may_ask_and_deny_but_allow_nothing(agent: Any, tmp_path: Path):
    (tmp_path / "inkernel.toml").write_text(
        '[[rules]]\ndecision = "deny"\ntool = "run_cell"\n[[rules]]\ndecision = "allow"\nhost = "x"'
    )
    kernel, server = agent(steps("x = 1"))
    ran = kernel.run("%%agent\nGo.")
    assert "a project may only ask or deny" in html(ran)
    assert "a rule of" in items(server.requests[1])[-1]["output"]
    assert kernel.run("x").ename == "NameError"


def test_the_sources_of_cells_are_shown_and_a_change_meanwhile_asks_again(
    agent: Any, tmp_path: Path
):
    def write(source: str) -> None:
        cells = [v4.new_code_cell(source, id="load-cell")]
        nbformat.write(v4.new_notebook(cells=cells), tmp_path / "rain.ipynb")

    write("rain = 1")
    call = "name = 'notebook_run'\narguments = {cells = ['load']}\n"
    script = f"[[turn]]\n[[turn.response]]\n[[turn.response.call]]\n{call}"
    kernel, _ = agent(
        f"{script}[[turn.response]]\nsay = 'Done.'\n",
        JPY_SESSION_NAME=str(tmp_path / "rain.ipynb"),
    )
    cell = kernel.start(ASK, allow_stdin=True)
    assert "2 lines" in kernel.wait_for_question()
    write("\n".join(["rain = 2"] * 9))
    kernel.client.input("y")
    assert "10 lines" in kernel.wait_for_question()
    kernel.client.input("y")
    kernel.finish(cell)
    assert kernel.run("rain").text == "2"
    assert "rain = 2" in kernel.run("%agent why").text


def test_an_edit_that_goes_further_is_asked_for_again_and_a_rule_still_denies(
    agent: Any, tmp_path: Path
):
    (tmp_path / "inkernel.toml").write_text('[[rules]]\ndecision = "deny"\ncommand = "git push"')
    kernel, server = agent(steps("x = 1") + steps("x = 2"))
    push = "import subprocess; subprocess.run(['git', 'push'])"
    answered(kernel, ASK, "e", "1", push, "r")
    said = items(server.requests[1])[-1]["output"]
    assert "as the person changed it" in said and "git push" in said
    write = "open('/far.txt', 'w').write('x')"
    ran, questions = answered(kernel, ASK, "e", "1", write, "r", "n")
    assert "writes /far.txt" in questions[-1] and "/far.txt" in html(ran)
    assert "x = 2" not in questions[-1]


def test_the_client_alone_that_sent_the_cell_answers(agent: Any):
    kernel, _ = agent(steps("x = 1"))
    other = BlockingKernelClient(connection_file=kernel.manager.connection_file)
    other.load_connection_file()
    other.start_channels()
    cell = kernel.start(ASK, allow_stdin=True)
    kernel.wait_for_question()
    for _ in range(5):
        other.input("y")
        time.sleep(0.1)
    other.stop_channels()
    kernel.client.input("n")
    kernel.finish(cell)
    assert kernel.run("x").ename == "NameError"


def test_a_step_that_leads_the_question_to_another_client_changes_nothing(agent: Any):
    moves = "k = get_ipython().kernel\nk.set_parent([b'other'], k.get_parent('shell'))"
    kernel, _ = agent(steps(moves, "x = 1"))
    cell = kernel.start(ASK, allow_stdin=True)
    for _ in range(2):
        kernel.wait_for_question()
        kernel.client.input("y")
    kernel.finish(cell)
    assert kernel.run("x").text == "1"


def test_a_connection_to_the_kernel_by_its_own_client_is_asked_for(agent: Any):
    code = """
z = __import__("".join(["z", "mq"]))
z.Context.instance().socket(z.DEALER).connect("tcp://127.0.0.1:9")
"""
    kernel, server = agent(steps(code))
    kernel.run("%agent config trial never")
    kernel.run("%%agent --policy auto\nGo.")
    assert "127.0.0.1:9" in items(server.requests[-1])[-1]["output"]


@pytest.mark.parametrize(
    "code",
    [
        "from jupyter_client import BlockingKernelClient as C\nc = C()",
        "k = get_ipython().kernel",
        "get_ipython().kernel.session.send",
        "import zmq\nzmq.Context().socket(zmq.DEALER).connect('tcp://127.0.0.1:9')",
    ],
)
def test_code_that_reaches_for_the_sockets_of_the_kernel_is_asked_for(code: str):
    walls = workspace_walls("/work", "/tmp", "/home/ada")
    assert read_code(code, walls).concerns
