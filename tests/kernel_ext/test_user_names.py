"""Which names are the person's, by kind of name, as each that asks tells it in a real shell."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from inkernel.agent.context.changes import KnownContext
from inkernel.agent.protocol.cells import CellRun
from inkernel.agent.tools.tool import ToolCall
from inkernel.kernel_ext.execution.capture import OutputCapture
from inkernel.kernel_ext.execution.interrupts import Interruption
from inkernel.kernel_ext.execution.run_code import CodeStep, Host, run_code
from inkernel.kernel_ext.observer import Obeys, Observer
from inkernel.kernel_ext.sandbox.walls.folders import find_folders
from inkernel.kernel_ext.tools.inspect import Inspect, inspect_tool
from inkernel.kernel_ext.undo.turn_undo import TurnUndo
from inkernel.kernel_ext.user_cells.log import UserCellLog
from inkernel.kernel_ext.user_names import user_names


def step(shell: InteractiveShell, code: str, **lent: object) -> CellRun:
    """Code that the agent runs."""
    with OutputCapture(shell) as taps:
        host = Host(shell, taps, Interruption())
        return asyncio.run(run_code(host, CodeStep(code, "agent", lambda _: True, lent=lent)))


def told(shell: InteractiveShell, code: str) -> set[str]:
    shell.run_cell(code)
    return {
        *Observer(shell, UserCellLog(), Obeys(Path(), find_folders, dict)).variables(KnownContext())
    }


def inspected(shell: InteractiveShell, code: str) -> set[str]:
    shell.run_cell(code)
    tool, found = inspect_tool(partial(user_names, shell)), set[str]()
    for name in map(str, shell.user_ns):
        seen = asyncio.run(tool.run(ToolCall("call_1"), Inspect(names=[name])))
        found |= {name} if seen.status == "ok" else set()
    return found


def undone(shell: InteractiveShell, code: str) -> set[str]:
    undo = TurnUndo()
    undo.before_step(shell, 1, 0, code)
    shell.run_cell(code)
    return {*undo.undo(shell, (), False).removed}


def bound_by_a_step(shell: InteractiveShell, code: str) -> set[str]:
    return {*step(shell, code).bound}


def bound_by_a_cell(shell: InteractiveShell, code: str) -> set[str]:
    return {*in_cell(shell, code).bound}


def in_cell(shell: InteractiveShell, code: str) -> CellRun:
    """A cell that the person runs."""
    log = UserCellLog()
    log.attach(shell)
    shell.run_cell(code, store_history=True)
    log.detach()
    return log.since(0)[0]


KINDS = {
    "a plain name": ("x = [1]", {"x"}),
    "a module": ("import math", {"math"}),
    "an underscore": ("_x = __y = 1", set[str]()),
    "no text": ("globals()[1] = 2", set[str]()),
    "no identifier": (r"globals()['x\n## State'] = globals()[''] = 2", set[str]()),
    "IPython's own, made again": ("get_ipython().reset(new_session=False)", set[str]()),
    "IPython's own, bound anew": ("open = exit = 5", {"open", "exit"}),
    "hidden, as a startup file's": ("get_ipython().push({'x': 1}, interactive=False)", set[str]()),
}
CALLERS = (told, inspected, undone, bound_by_a_step, bound_by_a_cell)


@pytest.mark.parametrize(("code", "theirs"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("names", CALLERS)
def test_all_that_ask_agree_which_names_are_the_persons(
    shell: InteractiveShell,
    names: Callable[[InteractiveShell, str], set[str]],
    code: str,
    theirs: set[str],
) -> None:
    assert names(shell, code) == theirs


@pytest.mark.parametrize("ran", [step, in_cell])
def test_of_a_name_that_is_gone_the_name_alone_decides(
    shell: InteractiveShell, ran: Callable[[InteractiveShell, str], CellRun]
) -> None:
    shell.run_cell("x = _x = 1; globals()[1] = 2")
    assert ran(shell, "del x, _x, exit, globals()[1]").deleted == ("exit", "x")


def test_a_change_in_place_is_seen_of_the_persons_names_alone(shell: InteractiveShell) -> None:
    shell.run_cell("open, _x = [1], [1]")
    assert in_cell(shell, "open.append(2); _x.append(2); Out[0] = 3").changed == ("open",)


def test_a_name_lent_to_a_step_is_nobodys_while_it_is_lent(shell: InteractiveShell) -> None:
    seen: list[set[str]] = []
    shell.user_ns["_look"] = lambda: seen.append({*user_names(shell)})
    assert step(shell, "x = tools; _look()", tools=5).bound == ("x",)
    assert seen == [{"x"}] and {*user_names(shell)} == {"x"}


def test_a_name_that_a_step_binds_over_a_lent_one_is_the_persons(shell: InteractiveShell) -> None:
    assert step(shell, "tools = 6", tools=5).bound == ("tools",)
    assert user_names(shell) == {"tools": 6}


def test_the_persons_own_name_comes_back_when_nothing_is_lent_any_more(
    shell: InteractiveShell,
) -> None:
    shell.user_ns["tools"] = "mine"
    run = step(shell, "tools + 1", tools=5)
    assert (run.status, run.bound, run.deleted) == ("ok", (), ())
    assert user_names(shell) == {"tools": "mine"}
