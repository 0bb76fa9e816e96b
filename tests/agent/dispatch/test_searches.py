"""Calls of what a search has loaded, and the searches of one response."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from inkernel.agent.dialects.dialect import ResponseDone
from inkernel.agent.errors import RequestRefusedError
from inkernel.agent.protocol.events import Event, Notice
from inkernel.agent.protocol.items import FunctionCall, parse_item
from inkernel.agent.protocol.record_lines import ToolsLine
from inkernel.agent.providers.catalog import Capabilities
from inkernel.agent.providers.resolve import Target
from inkernel.agent.session import Session
from inkernel.agent.testing import play
from inkernel.agent.tools.schema import FieldsOf
from inkernel.agent.tools.tool import ToolCall, ToolOutput, always, text_output
from inkernel.agent.tools.tool_search import SearchTool

Run = Callable[..., Awaitable[tuple[list[Event], BaseException | None]]]
Make = Callable[..., Any]
END = ResponseDone(None)
SEARCH = {"type": "tool_search_call", "id": "tsc_1", "call_id": "s", "execution": "client"}
LOADS = {
    "type": "namespace",
    "name": "mcp__git",
    "description": "git",
    "tools": [{"type": "function", "name": "log", "parameters": {"type": "object"}}],
}
ROW = {"server": "", "tool": "", "name": "tool_search", "description": "", "parameters": {}}
TARGET = Target("fake", "http://127.0.0.1:9/v1", "m", traits=Capabilities(tool_search=True))


class Words(BaseModel):
    """The words of a search."""

    query: str = ""


@pytest.fixture
def searching(session_for: Make, say: Make, tool: Make) -> Make:
    """A session whose model searches, with a tool `log` to load and another that it replaces."""

    def build(*responses: list[Any], load: bool = True) -> Session:
        async def search(_call: ToolCall, asked: Words) -> ToolOutput:
            return replace(text_output(asked.query), loads=(LOADS,) if load else ())

        def loaded(call: FunctionCall) -> Any:
            known = session.conversation.history.loaded
            return tool("mcp__git__log") if (call.namespace, call.name) in known else None

        found = SearchTool(
            *("tool_search", "Search.", FieldsOf(Words), search, always("look")),
            parameters={"type": "object", "properties": {}},
            loaded=loaded,
            replaces=frozenset(["find_tools"]),
        )
        parts = [*(list(it) for it in responses), [say("Done."), END]]
        session: Session = session_for(
            play(parts), tool("find_tools"), found, policy="full", target=TARGET
        )
        session.journal.write(ToolsLine(tools=[ROW]))
        return session

    return build


def items(session: Session, kind: str) -> list[dict[str, Any]]:
    found = (json.loads(it.item.wire) for it in session.conversation.history.entries)
    return [it for it in found if it["type"] == kind]


def log(call_id: str = "l", **fields: Any) -> Any:
    call = {"type": "function_call", "call_id": call_id, "name": "log", "arguments": "{}"}
    return parse_item({**call, **fields})


async def test_a_search_is_answered_with_tools_and_their_calls_are_routed(
    searching: Make, run: Run
):
    asked = {**SEARCH, "arguments": {"query": "commits"}, "x": 1}
    session = searching([parse_item(asked), END], [log(namespace="mcp__git"), END])
    _, error = await run(session)
    assert error is None
    assert items(session, "tool_search_call") == [asked]
    assert items(session, "tool_search_output")[0]["tools"] == [LOADS]
    assert [it["output"] for it in items(session, "function_call_output")] == ["mcp__git__log "]
    assert items(session, "function_call")[0]["namespace"] == "mcp__git"
    assert [it.name for it in session.sent_tools] == ["tool_search"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"arguments": '{"query": "a"}'},
        {"arguments": "["},
        {"arguments": {"query": 7, "of": "x"}},
        {"arguments": None, "call_id": None, "status": 3},
    ],
)
async def test_a_broken_search_is_answered(searching: Make, run: Run, fields: dict[str, Any]):
    session = searching([parse_item({**SEARCH, **fields}), END])
    _, error = await run(session)
    assert error is None
    (asked,), (answer,) = items(session, "tool_search_call"), items(session, "tool_search_output")
    assert asked["call_id"] == answer["call_id"] and isinstance(asked["arguments"], dict)
    assert session.conversation.history.open_calls == ()


async def test_a_call_of_what_is_not_loaded_says_how_to_load_it(
    searching: Make, call: Make, run: Run
):
    session = searching([log(namespace="mcp__git"), call("mcp__git__log", "b"), END])
    _, error = await run(session)
    assert error is None
    told = [it["output"] for it in items(session, "function_call_output")]
    assert len(told) == 2
    assert all(
        it.startswith("mcp__git__log is not loaded. Load it with tool_search") for it in told
    )


async def test_a_namespace_of_a_server_never_means_a_tool_of_ours(searching: Make, run: Run):
    stranger = log("a", name="find_tools", namespace="mcp__git")
    ours = log("b", name="find_tools", namespace="functions")
    session = searching([stranger, ours, END])
    await run(session)
    told = [it["output"] for it in items(session, "function_call_output")]
    assert "is not loaded" in told[0] and told[1] == "find_tools "


@pytest.mark.parametrize(
    ("said", "refused", "left"),
    [
        ("Tool 'tool_search' is not supported with m.", ["tool_search"], ["find_tools"]),
        ("Duplicate namespace name 'x' in input[3].tools[0].", ["tool_search"], ["find_tools"]),
        ("Invalid schema for function 'log': bad.", ["mcp__git__log"], ["tool_search"]),
    ],
)
async def test_what_a_provider_refuses_is_left_out_and_the_turn_goes_on(
    searching: Make, run: Run, said: str, refused: list[str], left: list[str]
):
    asked = parse_item({**SEARCH, "arguments": {}})
    session = searching([asked, END], [RequestRefusedError(said)])
    events, error = await run(session)
    assert error is None
    assert session.conversation.refused == frozenset(refused)
    assert [it.name for it in session.sent_tools] == left
    assert items(session, "tool_search_call") == items(session, "tool_search_output") == []
    told = [it.text for it in events if isinstance(it, Notice)]
    assert len(told) == 1 and said in told[0]
