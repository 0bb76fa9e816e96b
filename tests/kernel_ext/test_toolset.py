"""The tools of a turn: their order, and what each touches."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.session import Session
from inkernel.agent.testing import play
from inkernel.agent.tools.tool import Tool
from inkernel.kernel_ext.execution.capture import OutputCapture
from inkernel.kernel_ext.execution.interrupts import Interruption
from inkernel.kernel_ext.execution.run_code import Host
from inkernel.kernel_ext.notebook.current import CurrentNotebook
from inkernel.kernel_ext.tools.step_runner import StepHooks
from inkernel.kernel_ext.toolset import tools_of_turn

NOTEBOOK = Path("rain.ipynb")

TOUCHED: dict[str, tuple[dict[str, Any], set[str], tuple[str, ...]]] = {
    "run_cell": ({"title": "t", "code": "1"}, {"run_code"}, ()),
    "notebook_run": ({"cells": ["#1"]}, {"run_code", "edit_notebook"}, ("rain.ipynb",)),
    "inspect": ({}, {"look"}, ()),
    "search_names": ({"query": "a"}, {"look"}, ()),
    "source": ({"object": "a"}, {"look"}, ()),
    "docs": ({"object": "a"}, {"look"}, ()),
    "table": ({"name": "a"}, {"look"}, ()),
    "notebook_read": ({}, {"look"}, ("rain.ipynb",)),
    "notebook_edit": ({"edits": [{"op": "insert"}]}, {"edit_notebook"}, ("rain.ipynb",)),
    "output": ({"handle": "out-1"}, {"look"}, ()),
    "recall": ({"cells": ["out-1"]}, {"look"}, ()),
}
"""Of each tool, in their order: arguments, effects and paths."""


@pytest.fixture
def tools(session_for: Callable[..., Session], shell: Any) -> tuple[Tool[Any], ...]:
    host = Host(shell, OutputCapture(shell), Interruption())
    here = CurrentNotebook(shell, NOTEBOOK, "headless", None)
    return tools_of_turn(host, session_for(play([])), here, StepHooks(print, print))


def test_the_tools_come_in_their_order(tools: tuple[Tool[Any], ...]) -> None:
    assert [tool.name for tool in tools] == list(TOUCHED)


@pytest.mark.parametrize("name", TOUCHED)
def test_each_tool_says_what_it_touches(tools: tuple[Tool[Any], ...], name: str) -> None:
    tool = next(tool for tool in tools if tool.name == name)
    given, effects, paths = TOUCHED[name]
    action = tool.action(tool.arguments.model_validate(given))
    assert (action.tool, action.effects, action.paths) == (name, effects, paths)
    assert action.reads_only == (effects == {"look"})
    assert (action.hosts, action.command) == ((), None)
