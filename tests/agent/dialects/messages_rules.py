"""The documented rules of a request to the Messages API, and the types of the official SDK.

A request that breaks one is an AssertionError. The rules: platform.claude.com/docs/en/api/messages,
/agents-and-tools/tool-use/handle-tool-calls, /build-with-claude/prompt-caching and /thinking, and
for blank text and a last thought what the API answers (github.com/LibreChat-AI/agents/pull/124,
github.com/tailcallhq/forgecode/issues/2107).
"""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, get_args, get_type_hints

from anthropic.types import ContentBlockParam, TextBlockParam, ToolParam
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from pydantic import ConfigDict, TypeAdapter

ID = re.compile(r"[a-zA-Z0-9_-]+")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
THOUGHTS = ("thinking", "redacted_thinking")
MOST_MARKS = 4
BLOCKS = {
    value: kind
    for kind in get_args(ContentBlockParam)
    for value in get_args(get_args(get_type_hints(kind, include_extras=True)["type"])[0])
}
"""The SDK's type of a block, by its `type`."""


def check(body: bytes) -> None:
    """Fail if the API would refuse the request."""
    request = json.loads(body, parse_constant=_refuse, object_pairs_hook=_once)
    _is_of(MessageCreateParamsStreaming, {**request, "messages": [], "tools": [], "system": ""})
    assert request["stream"] is True
    for tool in request.get("tools", ()):
        _is_of(ToolParam, tool)
        assert NAME.fullmatch(tool["name"])
    for block in request.get("system", ()):
        _is_of(TextBlockParam, block)
    for message in request["messages"]:
        assert set(message) == {"role", "content"}
        for block in message["content"]:
            if block["type"] in BLOCKS:
                _is_of(BLOCKS[block["type"]], block)
            for inner in _inner(block):
                _is_of(BLOCKS[inner["type"]], inner)
    _check_thinking(request)
    check_order(request)


def check_order(request: dict[str, Any]) -> None:
    """Fail if the API would refuse the order of messages, blocks and marks."""
    _check_marks(request)
    messages = request["messages"]
    assert messages and messages[0]["role"] == "user"
    for message, before in zip(messages[1:], messages, strict=False):
        assert message["role"] != before["role"], "neighbours of one role are one message"
    for message in messages:
        _check_message(message)
    _check_calls(messages)
    if messages[-1]["role"] == "assistant":  # only a turn that the server has paused
        assert messages[-1]["content"][-1]["type"] not in ("text", "tool_use", *THOUGHTS)


def _check_thinking(request: dict[str, Any]) -> None:
    thinking = request.get("thinking", {})
    if thinking.get("type") == "enabled":
        assert 1_024 <= thinking["budget_tokens"] < request["max_tokens"]
        assert request.get("tool_choice", {}).get("type") not in ("any", "tool")
    if thinking.get("type") in ("disabled", "between_tools"):
        assert request.get("output_config", {}).get("effort") not in ("xhigh", "max")
    assert request["max_tokens"] >= 1


def _check_marks(request: dict[str, Any]) -> None:
    """At most four, of longer times before shorter ones, and none on a thought."""
    blocks = [*request.get("tools", ()), *request.get("system", ())]
    blocks += [block for message in request["messages"] for block in message["content"]]
    marks = [block["cache_control"] for block in blocks if block.get("cache_control")]
    assert len(marks) <= MOST_MARKS
    times = [mark.get("ttl", "5m") for mark in marks]
    assert times == sorted(times)  # "1h" sorts before "5m"
    assert not any("cache_control" in block for block in blocks if block.get("type") in THOUGHTS)


def _check_message(message: dict[str, Any]) -> None:
    role = message["role"]
    assert role in ("user", "assistant")
    assert message["content"], "a message says something"
    for block in message["content"]:
        kind = block["type"]
        for inner in (block, *_inner(block)):
            assert inner["type"] != "text" or inner["text"].strip(), "text is not blank"
        if kind == "tool_use":
            assert role == "assistant" and ID.fullmatch(block["id"])
        if kind in THOUGHTS:
            assert role == "assistant"
        if kind in ("tool_result", "image"):
            assert role == "user"
        if kind == "tool_result":
            assert "content" not in block or block["content"]
            assert not isinstance(block.get("content"), str) or block["content"].strip()
    assert message["content"][-1]["type"] not in THOUGHTS, "a thought is not the last block"


def _inner(block: dict[str, Any]) -> Iterable[dict[str, Any]]:
    content = block.get("content") if block["type"] == "tool_result" else None
    return content if isinstance(content, list) else ()


def _check_calls(messages: list[dict[str, Any]]) -> None:
    """Each call has one result, and results are the first blocks of the next message."""
    ids: list[str] = []
    for message, after in zip(messages, [*messages[1:], None], strict=True):
        calls = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        ids += calls
        results = list(_results(after)) if after else []
        assert sorted(results) == sorted(calls), "each call has a result in the next message"
        if message["role"] == "user":
            kinds = [block["type"] == "tool_result" for block in message["content"]]
            assert kinds == sorted(kinds, reverse=True), "results come first"
    assert len(ids) == len(set(ids)), "no two calls have one id"


def _results(message: dict[str, Any]) -> Iterator[str]:
    for block in message["content"]:
        if block["type"] == "tool_result":
            yield block["tool_use_id"]


def _is_of(kind: Any, value: object) -> None:
    _adapter(kind).validate_python([value])


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Refuses members that the type does not name."""
    return TypeAdapter(list[kind], config=ConfigDict(extra="forbid"))


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs), "a member is there twice"
    return found
