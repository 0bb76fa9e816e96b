"""The first turn of a later kernel does not wait for servers whose lists are known."""

import json
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.kernel_ext.mcp.turns import bodies, call_of, code, outputs, script, table

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp"),
]
HABITS = Path(__file__).with_name("habits.py")
call = partial(call_of, "habits")


@pytest.fixture
def again(serving: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Starts a kernel of the same person, with a model that makes these steps, and runs a turn."""
    waits, gone = tmp_path / "waits", tmp_path / "gone"
    env = json.dumps({"WAITS_WHILE": str(waits), "GONE": str(gone)}).replace('": ', '" = ')

    def run(*steps: Any) -> Any:
        servers = f"{table('habits', HABITS)}env = {env}\n"
        kernel, server = serving(script(("go", [*steps])), servers, INKERNEL_DATA_DIR=str(tmp_path))
        assert kernel.run("%%agent\ngo").status == "ok"
        return server

    return run


def test_a_known_server_is_not_awaited_and_its_tools_are_the_same(
    again: Callable[..., Any], tmp_path: Path
):
    before = again(call("wettest", town="Ulm"))
    waits = tmp_path / "waits"
    waits.touch()
    after = again(code(f"import os; os.remove({str(waits)!r})"), call("wettest", town="Ulm"))
    assert bodies(after)[0]["tools"] == bodies(before)[0]["tools"]
    assert _told(after) == _told(before) and "for code in agent_tools.habits" in _told(after)
    assert outputs(after)[1] == outputs(before)[0] == '{"month":7.0,"mm":103.0}'


def test_a_list_that_has_changed_since_is_told_and_a_tool_that_is_gone_says_so(
    again: Callable[..., Any], tmp_path: Path
):
    again()
    (tmp_path / "gone").touch()
    (tmp_path / "waits").touch()
    remove = f"import os; os.remove({str(tmp_path / 'waits')!r})"
    newest = code("print(await agent_tools.habits.newest())")
    server = again(code(remove), call("wettest", town="Ulm"), newest)
    first, *_, last = bodies(server)
    assert last["tools"] == first["tools"]
    assert last["input"][: len(first["input"])] == first["input"]
    _, lost, new = outputs(server)
    assert "wettest" in lost and "7.0" not in lost and "new" in new
    assert "newest" in json.dumps(last["input"])


@pytest.mark.parametrize("text", ["", "[1]", '{"tools": [{"name": 3}]}'])
def test_a_damaged_file_costs_no_more_than_a_wait(
    again: Callable[..., Any], tmp_path: Path, text: str
):
    before = again()
    (kept,) = tmp_path.rglob("mcp_listings/*.json")
    assert kept.stat().st_mode & 0o077 == 0
    kept.write_text(text)
    assert bodies(again())[0]["tools"] == bodies(before)[0]["tools"]
    assert json.loads(kept.read_text())["instructions"] == "Rain of towns."


def test_code_may_call_a_server_that_has_crashed(again: Callable[..., Any]):
    calling = code("print(await agent_tools.habits.wettest(town='Ulm'))")
    server = again(call("crash"), calling)
    assert "'month': 7.0" in outputs(server)[1]


def _told(server: Any) -> str:
    """The line about the server in the first request."""
    context = json.dumps(bodies(server)[0]["input"])
    return next(it for it in context.split("\\n") if it.startswith("server habits"))
