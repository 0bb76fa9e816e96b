"""Tools of MCP servers that the model searches for by its provider's own means, in a kernel."""

import json
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.kernel_ext.mcp.turns import (
    bodies,
    call_of,
    code,
    loaded_call,
    outputs,
    script,
    search,
    table,
)

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp"),
]
HABITS = Path(__file__).with_name("habits.py")
SEARCHES = {"INKERNEL_TOOL_SEARCH": "always"}
DATES = """
from datetime import date
from mcp.server.mcpserver import MCPServer
server = MCPServer("dates")
@server.tool()
def born(day: date) -> str:
    'Who was born on a day.'
    return "nobody"
@server.tool()
def rain(day: str) -> str:
    'The rain of a day.'
    return f"none {day}"
server.run("stdio")
"""
call = partial(loaded_call, "habits")
WET, ULM = search("wettest month of a town"), call("wettest", town="Ulm")
Start = Callable[..., Any]


@pytest.fixture
def start(serving: Start) -> Start:
    """Starts a kernel with the server `habits`, whose tools are searched. `more`: lines of it."""

    def begin(script: str, *arguments: str, more: str = "", **environ: str) -> Any:
        lines = f'{table("habits", HABITS, *arguments)}expose = "search"\n{more}\n'
        return serving(script, lines, **{**SEARCHES, **environ})

    return begin


def sent(server: Any, kind: str) -> list[dict[str, Any]]:
    """The items of a kind in the last request."""
    return [it for it in bodies(server)[-1]["input"] if it["type"] == kind]


def functions(server: Any) -> list[list[tuple[str, str]]]:
    """For each answer to a search, the functions that it has loaded."""
    answers = sent(server, "tool_search_output")
    return [[(ns["name"], it["name"]) for ns in a["tools"] for it in ns["tools"]] for a in answers]


def begins_with_the_one_before(server: Any) -> None:
    for before, after in pairwise(bodies(server)):
        assert after["tools"] == before["tools"]
        assert after["input"][: len(before["input"])] == before["input"]


def test_a_tool_that_is_searched_for_is_called_and_the_person_sees_both(start: Start):
    kernel, server = start(script(("go", [WET, ULM]), ("again", [call("wettest", town="Bonn")])))
    ran = kernel.run("%%agent\ngo")
    assert ran.status == "ok" and "tool search" in ran.text
    assert "query=wettest month of a town" in ran.text and "agent_tools.habits.wettest" in ran.text
    (asked,), (answer,) = sent(server, "tool_search_call"), sent(server, "tool_search_output")
    assert asked["arguments"] == WET["arguments"] and asked["id"] == "tsc_t0r0i0"
    told = {name: it for name, it in answer.items() if name != "tools"}
    assert told == {
        "type": "tool_search_output",
        "call_id": asked["call_id"],
        "execution": "client",
        "status": "completed",
    }
    (namespace,) = answer["tools"]
    assert (namespace["type"], namespace["name"]) == ("namespace", "mcp__habits")
    assert namespace["description"] == "Tools of the server habits. Rain of towns."
    first = namespace["tools"][0]
    assert (first["name"], first["strict"], first["defer_loading"]) == ("wettest", False, True)
    assert first["parameters"]["required"] == ["town"]
    (called,) = sent(server, "function_call")
    assert (called["namespace"], called["name"]) == ("mcp__habits", "wettest")
    assert outputs(server) == ['{"month":7.0,"mm":103.0}']
    assert kernel.run("%%agent\nagain").status == "ok"
    assert outputs(server)[-1] == '{"month":7.0,"mm":104.0}'
    begins_with_the_one_before(server)


def test_two_hundred_tools_cost_a_search_and_a_line(start: Start):
    steps = [search("catalogue kind 117"), call("find_things_117", query="rain")]
    kernel, server = start(script(("go", steps)), "200")
    assert kernel.run("%%agent\ngo").status == "ok"
    first = bodies(server)[0]
    names = [it.get("name") or it["type"] for it in first["tools"]]
    assert names[-1] == "tool_search" and "find_tools" not in names
    lines = json.dumps(first["input"]).split("\\n")
    told = [json.dumps(first["tools"][-1]), *(it for it in lines if it.startswith("server "))]
    assert "found by tool_search" in told[1] and sum(map(len, told)) / 4 < 2_000
    assert first["tools"][-1]["description"].endswith("The servers: habits.")
    assert functions(server)[0][0] == ("mcp__habits", "find_things_117")
    assert outputs(server) == ["rain 10 None"]


def test_each_request_begins_with_the_one_before_whatever_the_server_does(start: Start):
    steps = [
        search("adds a tool", limit=1),
        call("grow", name="later"),
        code("import asyncio; await asyncio.sleep(2)"),
        search("later", limit=1),
        call("later", again=2),
        search("wettest crash", limit=2),
        call("crash", again=3),
        call("wettest", again=3, town="Ulm"),
        search("wettest"),
    ]
    kernel, server = start(script(("go", steps), ("again", [call("grow", name="more")])))
    assert kernel.run("%%agent\ngo").status == "ok"
    assert kernel.run("%agent mcp restart habits").status == "ok"
    assert kernel.run("%%agent\nagain").status == "ok"
    begins_with_the_one_before(server)
    found = outputs(server)
    assert found[2] == "new" and "Whether the call took effect is not known" in found[3]
    assert found[4].startswith('{"month":7.0') and found[5] == "added"
    assert functions(server) == [
        [("mcp__habits", "grow")],
        [("mcp__habits__2", "later")],
        [("mcp__habits__3", it) for it in ("wettest", "crash")],
        [("mcp__habits__4", "wettest")],
    ]


def test_a_late_server_is_searched_once_it_is_there_and_the_request_is_as_it_was(serving: Start):
    look = search("entry of a town")
    turns = script(("go", [look]), ("again", [look, loaded_call("towns", "towns", names=["Ulm"])]))
    tables = table("habits", HABITS), table("towns", HABITS.with_name("catalogue.py"), "0", "4")
    kernel, server = serving(
        turns, "".join(f'{it}expose = "search"\n' for it in tables), **SEARCHES
    )
    kernel.run("import inkernel.kernel_ext.mcp.session_servers as it; it.MOST_WAIT_SECONDS = 2")
    assert "towns is still starting" in kernel.run("%%agent\ngo").text
    assert kernel.run("%agent mcp restart towns").status == "ok"
    assert kernel.run("%%agent\nagain").status == "ok"
    assert "3000" in outputs(server)[-1]
    assert bodies(server)[0]["tools"][-1]["description"].endswith("The servers: habits, towns.")
    begins_with_the_one_before(server)


def test_a_session_that_another_kernel_resumes_calls_what_it_has_loaded(
    serving: Start, kernel: Start, tmp_path: Path
):
    both = "".join(f'{table(it, HABITS)}expose = "search"\n' for it in ("habits", "towns"))
    wet = search("wettest month of a town", limit=20)
    again = [loaded_call("towns", "wettest", town="Bonn"), call("wettest", town="Bonn"), wet]
    turns = script(("go", [wet, ULM]), ("again", again))
    first, server = serving(turns, both, **SEARCHES)
    assert first.run("%%agent\ngo").status == "ok"
    first.manager.shutdown_kernel(now=True)
    own = tmp_path / "own" / "inkernel" / "inkernel.toml"
    own.write_text(f'{table("habits", HABITS)}expose = "search"\n')  # one server is gone
    folders = {"XDG_CONFIG_HOME": str(tmp_path / "own"), "XDG_STATE_HOME": str(tmp_path / "state")}
    model = {"INKERNEL_BASE_URL": server.base_url, "INKERNEL_MODEL": "scripted/test"}
    other = kernel(INKERNEL_POLICY="full", **folders, **model, **SEARCHES)
    for line in ("%load_ext inkernel", "%agent resume", "%%agent\nagain"):
        assert other.run(line).status == "ok"
    gone, there = outputs(server)[-2:]
    assert "There is no server 'towns'" in gone and there.startswith('{"month":7.0')
    begins_with_the_one_before(server)


def test_a_tool_that_was_never_loaded_says_how_to_load_it(start: Start):
    kernel, server = start(script(("go", [call_of("habits", "wettest", town="Ulm"), WET, ULM])))
    assert kernel.run("%%agent\ngo").status == "ok"
    first, last = outputs(server)
    assert first.startswith("mcp__habits__wettest is not loaded. Load it with tool_search")
    assert last.startswith('{"month":7.0')


def test_a_loaded_tool_is_called_without_its_namespace_too(start: Start):
    kernel, server = start(script(("go", [WET, call_of("habits", "wettest", town="Ulm")])))
    assert kernel.run("%%agent\ngo").status == "ok"
    assert outputs(server) == ['{"month":7.0,"mm":103.0}']


@pytest.mark.parametrize("arguments", ['"{\\"query\\": \\"wettest town\\"}"', '"["', "{}"])
def test_a_broken_search_is_answered_and_the_turn_goes_on(start: Start, arguments: str):
    text = script(("go", [WET])).replace('{query = "wettest month of a town"}', arguments)
    kernel, server = start(text)
    assert kernel.run("%%agent\ngo").status == "ok"
    assert len(functions(server)) == 1 and len(bodies(server)) == 2


def test_a_provider_without_the_search_gets_the_tools_for_code(start: Start):
    steps = [
        {"name": "find_tools", "arguments": {"query": "wettest month"}},
        code("print(await agent_tools.habits.wettest(town='Ulm'))"),
    ]
    refusing = 'deviations = ["refuses_tool_search"]\n'
    kernel, server = start(refusing + script(("go", steps), ("again", [])))
    ran = kernel.run("%%agent\ngo")
    assert ran.status == "ok"
    assert ran.text.count("tools that are searched for: for code alone in this session.") == 1
    assert "await agent_tools.habits.wettest(town: str" in outputs(server)[0]
    assert "'mm': 103.0" in outputs(server)[1]
    again = kernel.run("%%agent\nagain")
    assert again.status == "ok" and "for code alone" not in again.text
    kinds = [[it["type"] for it in body["tools"]] for body in bodies(server)]
    assert ["tool_search" in it for it in kinds] == [True, *[False] * (len(kinds) - 1)]


def test_a_loaded_tool_whose_schema_is_refused_is_for_code_and_the_others_are_loaded_again(
    serving: Start, tmp_path: Path
):
    program = tmp_path / "dates.py"
    program.write_text(DATES)
    steps = [search("day"), loaded_call("dates", "rain", again=2, day="today")]
    text = 'deviations = ["refuses_formats"]\n' + script(("go", steps))
    kernel, server = serving(text, f'{table("dates", program)}expose = "search"\n', **SEARCHES)
    ran = kernel.run("%%agent\ngo")
    assert ran.status == "ok" and ran.text.count("mcp__dates__born: for code alone") == 1
    assert functions(server) == [[("mcp__dates__2", "rain")]]
    assert outputs(server) == ["none today"]


def test_where_the_model_cannot_search_that_is_told_once(start: Start):
    kernel, server = start(
        script(("go", []), ("again", []), ("more", [])), INKERNEL_TOOL_SEARCH="auto"
    )
    told = "does not search for tools: those of habits are for code"
    assert told in kernel.run("%%agent\ngo").text
    assert told not in kernel.run("%%agent\nagain").text
    assert bodies(server)[0]["tools"][-1]["name"] == "find_tools"
    assert kernel.run("%agent config tool_search always").status == "ok"
    assert kernel.run("%%agent\nmore").status == "ok"
    assert bodies(server)[-1]["tools"][-1]["type"] == "tool_search"


def test_another_api_gets_no_searches_and_calls_by_plain_names(start: Start):
    steps = [code("print(await agent_tools.habits.wettest(town='Bonn'))")]
    kernel, server = start(script(("go", [WET, ULM]), ("again", steps), ("more", [WET, ULM])))
    assert kernel.run("%%agent\ngo").status == "ok"
    assert kernel.run("%agent config dialect chat").status == "ok"
    assert kernel.run("%%agent\nagain").status == "ok"
    last = bodies(server)[-1]
    assert last["tools"][-1]["function"]["name"] == "find_tools"
    calls = [it for message in last["messages"] for it in message.get("tool_calls", ())]
    assert [it["function"]["name"] for it in calls] == ["mcp__habits__wettest", "run_cell"]
    assert kernel.run("%agent config dialect responses").status == "ok"
    assert kernel.run("%%agent\nmore").status == "ok"
    assert outputs(server)[-1].startswith('{"month":7.0')


def test_after_a_compaction_the_model_searches_again(start: Start):
    big = code("print('rain ' * 20_000)")
    kernel, server = start(
        script(("go", [WET, ULM, big, ULM]), ("again", [WET, ULM])), INKERNEL_WINDOW="12000"
    )
    assert kernel.run("%%agent\ngo").status == "ok"
    assert kernel.run("%agent compact").status == "ok"
    assert kernel.run("%%agent\nagain").status == "ok"
    assert outputs(server)[-1].startswith('{"month":7.0')
