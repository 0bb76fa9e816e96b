"""`%%agent` in plain terminal IPython, typed through a pseudo-terminal."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pexpect = pytest.importorskip("pexpect")

PROMPT = r"In \[\d+\]: "
SCRIPT = """
model = "scripted/test"
[[turn]]
[[turn.response]]
reasoning = "I add them up."
[[turn.response.call]]
name = "run_cell"
[turn.response.call.arguments]
title = "Add up"
code = "print('adding'); total = sum(numbers); total"
[[turn.response]]
say = "It is **6**.\\u001b[2J"
"""


class Terminal:
    """One IPython in a pty, its output without colours."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"],
            env={**os.environ, "TERM": "dumb", **environ},
            encoding="utf-8",
            timeout=60,
            dimensions=(50, 200),
        )
        self.child.expect(PROMPT)

    def run(self, line: str) -> str:
        """Type a line, and wait for the next prompt; what was printed."""
        self.child.sendline(line)
        self.child.expect(PROMPT)
        return self.child.before

    def type_cell(self, first: str, text: str) -> None:
        """Type a cell magic; as every one at this prompt, two blank lines end it."""
        for line in (first, text, "", ""):
            self.child.sendline(line)

    def ask(self, text: str) -> str:
        """A whole turn."""
        self.type_cell("%%agent", text)
        self.child.expect(PROMPT)
        return self.child.before


@pytest.fixture
def terminal(scripted: Callable[[str], Any]) -> Iterator[Callable[..., tuple[Terminal, Any]]]:
    """Starts IPython with the extension, talking to a scripted model."""
    started: list[Terminal] = []

    def start(script: str = SCRIPT) -> tuple[Terminal, Any]:
        server = scripted(script)
        environ = {"INKERNEL_BASE_URL": server.base_url, "INKERNEL_MODEL": "scripted/test"}
        started.append(Terminal(environ))
        started[-1].run("%load_ext inkernel")
        return started[-1], server

    yield start
    for running in started:
        running.child.close(force=True)


def test_a_turn_in_a_terminal_shows_steps_and_answer_and_leaves_its_names(terminal):
    ipython, server = terminal()
    ipython.run("numbers = [1, 2, 3]")
    shown = re.sub(r"\x1b\[[\d;]*m", "", ipython.ask("Add up $`numbers`."))
    for part in ("I add them up.", "Add up", "adding", "6", "It is **6**."):
        assert part in shown
    assert shown.count("adding\r\n") == 1, "output is shown once"
    assert "6" in ipython.run("total")
    output = json.loads(server.requests[1])["input"][-1]["output"]
    assert "adding" in output


def test_escape_sequences_of_the_model_never_reach_the_terminal(terminal):
    ipython, _ = terminal()
    ipython.run("numbers = [1, 2, 3]")
    assert "\x1b[2J" not in ipython.ask("Add up.")


def test_ctrl_c_ends_a_waiting_turn_and_the_next_cell_works(terminal):
    ipython, _ = terminal('[[turn]]\n[[turn.response]]\nsay = "x"\nfault = {first = 60}\n')
    ipython.type_cell("%%agent", "Go.")
    ipython.child.expect("scripted/test")
    ipython.child.sendintr()
    ipython.child.expect(PROMPT)
    assert "TurnInterrupted" in ipython.child.before
    assert "2" in ipython.run("1 + 1")


def test_ctrl_c_ends_an_agent_line_in_two_lines(terminal):
    step = SCRIPT.partition("\n[[turn]]")[2].replace("'adding'", "'a line of 2.5\\n' * 150")
    slow = "[[turn]]\non = 'about to be shortened'\n[[turn.response]]\nsay = 'x'\n"
    script = f"[[turn]]{step}" * 4 + slow + "fault = { first = 60 }\n"
    ipython, _ = terminal(script)
    ipython.run("numbers = [1, 2, 3]")
    for _ in range(4):
        ipython.ask("Add up.")
    ipython.child.sendline("%agent compact")
    ipython.child.expect(r"notes, for 90 s at most … 1 s\.")
    ipython.child.sendintr()
    ipython.child.expect(PROMPT)
    shown = ipython.child.before.rpartition("\x1b[2K\r")[2].split("\r\n")
    assert shown[:2] == [
        "LineInterrupted: You interrupted the %agent line.",
        "→ Run it again to have it done.",
    ]


def test_ctrl_c_stops_a_running_step(terminal):
    script = SCRIPT.replace("total = sum(numbers); total", "import time; time.sleep(60)")
    ipython, _ = terminal(script)
    ipython.type_cell("%%agent", "Go.")
    ipython.child.expect("adding\r\n")
    ipython.child.sendintr()
    ipython.child.expect(PROMPT)
    assert "TurnInterrupted" in ipython.child.before
    assert "2" in ipython.run("1 + 1")


def test_a_person_is_asked_at_the_terminal(terminal):
    ipython, _ = terminal()
    ipython.run("numbers = [1, 2, 3]")
    ipython.type_cell("%%agent --policy ask", "Go.")
    ipython.child.expect(re.escape("The agent wants to run this step"))
    ipython.run("n")
    assert "NameError" in ipython.run("total")


def of_step(code: str) -> str:
    """A script whose one step is this code."""
    return SCRIPT.replace('''"print('adding'); total = sum(numbers); total"''', json.dumps(code))


def test_steps_are_in_the_terminals_history_and_counted(terminal):
    ipython, _ = terminal(of_step("kept = 41\nkept + 1"))
    ipython.run("'mine'")
    assert "In [4]" in ipython.ask("Go.")
    assert "'mine'" in ipython.run("_")
    assert "42" in ipython.run("Out[4]")
    assert "# agent, turn 1: Add up" in ipython.run("%history")
    ipython.run("del kept")
    assert "42" in ipython.run("%rerun 4")


def test_a_step_over_its_limit_is_stopped_in_a_terminal(terminal):
    ipython, server = terminal(of_step("import time\nprint('adding')\ntime.sleep(60)"))
    ipython.run("%agent config step_timeout 0.5")
    assert "It is **6**." in re.sub(r"\x1b\[[\d;]*m", "", ipython.ask("Go."))
    output = json.loads(server.requests[1])["input"][-1]["output"]
    assert "stopped at its time limit of 0.5 s" in output and "adding" in output
    assert "2" in ipython.run("1 + 1")


def test_the_agents_code_asks_at_the_terminal_in_its_name(terminal):
    ipython, server = terminal(of_step("name = input('Your name? ')\nprint('Hello', name)"))
    ipython.type_cell("%%agent", "Go.")
    ipython.child.expect(re.escape("The agent's code asks: Your name? "))
    ipython.run("Ada")
    assert "Hello Ada" in json.loads(server.requests[1])["input"][-1]["output"]


def test_code_awaits_the_agents_tools_in_a_terminal(terminal):
    ipython, server = terminal(of_step("print(await agent_tools.inspect(names=['numbers']))"))
    ipython.run("numbers = [1, 2, 3]")
    assert "inspect × 1" in ipython.ask("Go.")
    assert "[1, 2, 3]" in json.loads(server.requests[1])["input"][-1]["output"]


def test_variables_are_undone_in_a_terminal(terminal):
    ipython, _ = terminal(of_step("numbers.append(4); added = 1"))
    ipython.run("numbers = [1, 2, 3]")
    ipython.ask("Go.")
    assert "[1, 2, 3, 4]" in ipython.run("numbers")
    undone = ipython.run("%agent undo")
    assert "before turn 1" in undone and "changed in place" in undone and "added" in undone
    assert "[1, 2, 3]" in ipython.run("numbers") and "NameError" in ipython.run("added")


def test_live_objects_are_looked_at_in_a_terminal(terminal):
    looks = (
        "print(await agent_tools.search_names(query='gauge'))",
        "print(await agent_tools.source(object='gauge_mean'))",
        "print(await agent_tools.source(object='len', docs=True))",
        "print(await agent_tools.table(name='gauges', where='mm > 1'))",
    )
    ipython, server = terminal(of_step("\n".join(looks)))
    ipython.run("gauges = [{'mm': 1}, {'mm': 2}]")
    ipython.run("gauge_mean = lambda rows: 0  # the mean")
    ipython.ask("Go.")
    output = json.loads(server.requests[1])["input"][-1]["output"]
    assert "2 of" in output and "# the mean" in output and "[{'mm': 2}]" in output
    assert "number of items" in output


@pytest.mark.parametrize("setting", ["asyncio", "off", "trio"])
def test_a_terminal_waits_for_agent_lines_and_cells_everywhere(terminal, tmp_path, setting):
    ipython, _ = terminal('[[turn]]\n[[turn.response]]\nsay = "Hello."\n')
    (tmp_path / "cell.ipy").write_text("%%agent\nHi.\n")
    ipython.run(f"%autoawait {setting}")
    for line in ("%agent models", "agent models", "%time %agent models", "x = %agent models"):
        assert "lists 1" in ipython.run(line)
    assert "lists 1" in ipython.run("get_ipython().run_line_magic('agent', 'models')")
    assert "Hello." in ipython.run(f"%run {tmp_path}/cell.ipy")
