"""The scripted model searches for tools, and refuses what OpenAI's API refuses about that."""

from typing import Any

import pytest

from inkernel.agent.scripted.hosted.searches import check_searches
from inkernel.agent.scripted.model import frames
from inkernel.agent.scripted.request import AskedRequest, Position, RequestError
from inkernel.agent.scripted.script import Script

SEARCH = {"type": "tool_search", "execution": "client", "parameters": {}}
ASKED = {"type": "tool_search_call", "execution": "client", "call_id": "c", "arguments": {}}
LOG = {"type": "function", "name": "log", "parameters": {"type": "object"}}
CALL = {"type": "function_call", "call_id": "d", "name": "log", "arguments": "{}"}
SCRIPT = Script.model_validate(
    {
        "turn": [
            {
                "response": [
                    {"call": [{"name": "tool_search", "arguments": {"query": "x"}}]},
                    {"call": [{"name": "log", "namespace": "mcp__git"}]},
                ]
            }
        ]
    }
)


def answer(call_id: str = "c", *names: str, **fields: Any) -> dict[str, Any]:
    groups = [
        {"type": "namespace", "name": it, "description": it, "tools": [LOG | fields]}
        for it in names or ("mcp__git",)
    ]
    return {
        "type": "tool_search_output",
        "execution": "client",
        "call_id": call_id,
        "status": "completed",
        "tools": groups,
    }


def request(*items: dict[str, Any], tools: tuple[dict[str, Any], ...] = (SEARCH,)) -> AskedRequest:
    return AskedRequest(model="gpt-5.4-nano", input=list(items), tools=list(tools))


def made(asked: AskedRequest, response: int) -> dict[str, Any]:
    events = frames(SCRIPT, Position(0, response), asked, 0)
    return next(it["item"] for kind, it in events if kind == "response.output_item.done")


def test_a_search_is_an_item_of_its_own_if_the_request_offers_it():
    item = made(request(), 0)
    assert (item["type"], item["execution"], item["arguments"]) == (
        *("tool_search_call", "client"),
        {"query": "x"},
    )
    assert made(request(tools=()), 0)["type"] == "function_call"


def test_only_a_loaded_function_is_called_in_its_namespace():
    assert made(request(ASKED, answer()), 1)["namespace"] == "mcp__git"
    with pytest.raises(RequestError, match=r"calls mcp__git\.log, which is not loaded"):
        made(request(ASKED, answer("c", "mcp__other")), 1)


@pytest.mark.parametrize(
    "items",
    [
        [ASKED, answer(), {**CALL, "namespace": "mcp__git"}],
        [ASKED, answer(), ASKED | {"call_id": "e"}, answer("e", "mcp__git__2")],
        [{**ASKED, "execution": "server", "call_id": None}],
        [CALL],
    ],
)
def test_a_whole_search_is_taken(items: list[dict[str, Any]]):
    check_searches(request(*items), frozenset())


@pytest.mark.parametrize(
    ("items", "ways", "words"),
    [
        ([ASKED], [], "No tool output found for tool search call c."),
        ([answer()], [], "No tool call found for tool search output"),
        ([ASKED, answer(), CALL], [], "Missing namespace for function_call 'log'"),
        ([{**CALL, "namespace": "mcp__git"}], [], "is not declared"),
        ([ASKED, answer("c", "a", "a")], [], r"Duplicate namespace name 'a' in input\[1\]"),
        ([ASKED, answer(), ASKED, answer()], [], r"'mcp__git' in input\[3\]\.tools\[0\]"),
        ([ASKED | {"arguments": "{}"}], [], r"input\[0\]\.arguments"),
        ([ASKED, answer(format="x")], ["refuses_formats"], "schema for function 'log'"),
        ([], ["refuses_tool_search"], "'tool_search' is not supported with gpt-5.4-nano"),
    ],
)
def test_all_else_is_refused(items: list[dict[str, Any]], ways: list[str], words: str):
    with pytest.raises(RequestError, match=words):
        check_searches(request(*items), frozenset(ways))
