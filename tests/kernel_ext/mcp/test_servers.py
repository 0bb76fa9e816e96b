"""MCP servers in a real kernel: their tools in requests and in code, whatever the servers do."""

import json
import os
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.kernel_ext.mcp.turns import bodies, call_of, code, outputs, script, table

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp"),
]
HABITS = Path(__file__).with_name("habits.py")
call = partial(call_of, "habits")


@pytest.fixture
def start(serving: Callable[..., Any]) -> Callable[..., Any]:
    """Starts a kernel whose person has the server `habits`. `more`: lines of its table."""

    def begin(script: str, *arguments: str, more: str = "", **environ: str) -> Any:
        return serving(script, f"{table('habits', HABITS, *arguments)}{more}\n", **environ)

    return begin


def test_tools_are_in_the_request_and_values_in_variables(start: Callable[..., Any]):
    steps = [
        code("rain = await agent_tools.habits.wettest(town='Ulm')"),
        call("wettest", town="Bonn", year=2023),
        call("picture"),
        call("fail"),
        call("wettest", year=1),
    ]
    kernel, server = start(script(("go", steps)))
    assert kernel.run("%%agent\ngo").status == "ok"
    assert kernel.run("rain").text == "{'month': 7.0, 'mm': 103.0}"
    names = [it["name"] for it in bodies(server)[0]["tools"]]
    theirs = [it for it in names if it.startswith("mcp__")]
    assert theirs == sorted(theirs) and "mcp__habits__wettest" in theirs
    _, told, picture, failed, wrong = outputs(server)
    assert told == '{"month":7.0,"mm":107.0}' and "image/png" in picture
    assert "Error executing tool fail" in failed and "town" in wrong
    context = json.dumps(bodies(server)[0]["input"])
    assert "for code in agent_tools.habits. It says of itself: Rain of towns." in context


def test_each_request_begins_with_the_one_before_whatever_the_server_does(
    start: Callable[..., Any],
):
    steps = [
        call("grow", name="later"),
        code("import asyncio; await asyncio.sleep(2)"),
        code("print(await agent_tools.habits.later())"),
        call("crash"),
        call("wettest", town="Ulm"),
    ]
    kernel, server = start(script(("go", steps), ("again", [call("wettest", town="Bonn")])))
    assert kernel.run("%%agent\ngo").status == "ok"
    assert kernel.run("%agent mcp restart habits").status == "ok"
    assert kernel.run("%%agent\nagain").status == "ok"
    found = bodies(server)
    for before, after in pairwise(found):
        assert after["tools"] == before["tools"]
        assert after["input"][: len(before["input"])] == before["input"]
    _, _, late, crashed, anew, _ = outputs(server)
    assert "new" in late and "Whether the call took effect is not known" in crashed
    assert anew.startswith('{"month":7.0')


def test_two_hundred_tools_are_found_by_code_and_are_not_in_the_request(
    start: Callable[..., Any],
):
    steps = [
        {"name": "find_tools", "arguments": {"query": "catalogue kind 117"}},
        code("print(await agent_tools.habits.find_things_117(query='rain'))"),
    ]
    kernel, server = start(script(("go", steps)), "200")
    assert kernel.run("%%agent\ngo").status == "ok"
    first = bodies(server)[0]
    theirs = [it for it in first["tools"] if it["name"] in ("find_tools",)]
    assert [it["name"] for it in first["tools"]][-1:] == ["find_tools"]
    told = json.dumps(theirs) + "".join(
        line for line in json.dumps(first["input"]).split("\\n") if line.startswith("server ")
    )
    assert len(told) / 4 < 2_000
    found, ran = outputs(server)
    assert "await agent_tools.habits.find_things_117(query: str, limit: int = 10" in found
    assert "rain 10 None" in ran


def test_an_answer_that_is_none_of_the_protocol_is_an_error_of_the_call(
    serving: Callable[..., Any],
):
    rubbish = table("rubbish", HABITS.with_name("rubbish.py"))
    kernel, server = serving(script(("go", [call_of("rubbish", "odd")])), rubbish)
    assert kernel.run("%%agent\ngo").status == "ok"
    assert "answered what MCP does not have" in outputs(server)[0]


def test_an_interrupt_ends_the_call_and_the_server_hears_of_it(
    start: Callable[..., Any], tmp_path: Path
):
    ended = tmp_path / "ended"
    slow = call("slow", seconds=60, ended=str(ended))
    turns = ("go", [slow]), ("again", [call("wettest", town="Ulm")])
    kernel, server = start(script(*turns))
    running = kernel.start("%%agent\ngo")
    _wait(lambda: len(server.requests) == 1 and _children(kernel))
    time.sleep(2)
    kernel.interrupt()
    assert kernel.finish(running).ename == "TurnInterrupted"
    _wait(ended.exists)
    assert kernel.run("%%agent\nagain").status == "ok"
    assert outputs(server)[-1].startswith('{"month":7.0')


def test_no_server_outlives_its_kernel(start: Callable[..., Any]):
    steps = [call("wettest", town="Ulm"), code("x = 1")]  # a step leaves a copy that sleeps
    kernel, _ = start(script(("go", steps)))
    assert kernel.run("%%agent\ngo").status == "ok"
    found = _children(kernel)
    assert found
    os.kill(kernel.manager.provisioner.pid, 9)
    _wait(lambda: not any(it.is_running() and it.status() != "zombie" for it in found))


def test_a_large_answer_is_cut_and_one_too_large_ends_the_server(start: Callable[..., Any]):
    steps = [
        call("big", megabytes=1),
        {"name": "output", "arguments": {"handle": "out-1", "grep": "x{50}"}},
        code("print(len(await agent_tools.habits.big(megabytes=1)))"),
        call("big", megabytes=17),
        call("wettest", town="Ulm"),
    ]
    kernel, server = start(script(("go", steps)))
    assert kernel.run("%%agent\ngo").status == "ok"
    cut, found, whole, refused, anew = outputs(server)
    assert "matching lines in out-1" in found
    assert len(cut) < 100_000 and "of out-1 left out" in cut and "1048576" in whole
    assert "a line of more than 16 MB" in refused and anew.startswith('{"month":7.0')


def test_a_server_gets_no_key(start: Callable[..., Any]):
    steps = [code("print(await agent_tools.habits.environment())")]
    kernel, server = start(script(("go", steps)), OPENAI_API_KEY="sk-of-nobody-1234567890")
    assert kernel.run("%%agent\ngo").status == "ok"
    assert "OPENAI_API_KEY" not in outputs(server)[0] and "PATH" in outputs(server)[0]


def test_a_secret_that_a_server_was_given_reaches_no_model(start: Callable[..., Any]):
    steps = [call("variable", name="TRACKER_TOKEN")]
    more = 'env = { TRACKER_TOKEN = "tr-0a1b2c3d4e5f6g7h" }'
    kernel, server = start(script(("go", steps), ("again", [])), more=more)
    assert kernel.run("%%agent\ngo").status == "ok"
    assert kernel.run("%%agent\nagain").status == "ok"
    assert "tr-0a1b2c3d4e5f6g7h" not in json.dumps(bodies(server))


def test_a_server_that_does_not_start_is_named_and_the_turn_goes_on(start: Callable[..., Any]):
    more = (
        '[mcp.silent]\ncommand = "sleep"\nargs = ["60"]\nstartup_timeout = 1\n'
        '[mcp.missing]\ncommand = "/nowhere/server"\n[mcp.ends]\ncommand = "false"\n'
    )
    kernel, server = start(script(("go", [call("wettest", town="Ulm")])), more=more)
    ran = kernel.run("%%agent\ngo")
    assert ran.status == "ok" and outputs(server)[0].startswith('{"month":7.0')
    context = json.dumps(bodies(server)[0]["input"])
    for name in ("silent", "missing", "ends"):
        assert f"server {name}: does not run:" in context
    assert "was not ready within 1 s" in context and "/nowhere/server" in context


def test_a_server_of_a_project_starts_after_the_persons_yes_alone(
    start: Callable[..., Any], tmp_path: Path
):
    kernel, _ = start(script(("go", []), ("again", [])))
    folder = Path(kernel.run("import os; print(os.getcwd())").text.strip())
    (folder / ".git").mkdir(exist_ok=True)
    made = folder / "made.txt"
    (folder / "inkernel.toml").write_text(
        f'[mcp.theirs]\ncommand = "touch"\nargs = [{json.dumps(str(made))}]\n'
    )
    ran = kernel.run("%%agent\ngo")
    assert ran.status == "ok" and not made.exists()
    told = kernel.run("%agent mcp").text
    assert "theirs" in told and "not started: it runs" in told and "touch" in told
    code_says_yes = "get_ipython().run_line_magic('agent', 'mcp al' + 'low theirs')"
    assert kernel.run(code_says_yes).status == "error"
    assert kernel.run("%agent mcp allow theirs").status == "ok"
    kernel.run("%%agent\nagain")
    assert made.exists()


def _children(kernel: Any) -> list[psutil.Process]:
    process = psutil.Process(kernel.manager.provisioner.pid)
    return [it for it in process.children() if str(HABITS) in it.cmdline()]


def _wait(done: Callable[[], object]) -> None:
    """Wait until it is so."""
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)
