"""The rules that a request of the Chat Completions API keeps, as a check of its bytes.

The types are those of the official SDK, with unknown members refused. The order is that of the
strictest servers: Gemini's endpoint, and templates that want the sides to alternate.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

chat = pytest.importorskip("openai.types.chat")
_params = pytest.importorskip("openai.types.chat.completion_create_params")

_MESSAGES = {
    "system": TypeAdapter(chat.ChatCompletionSystemMessageParam),
    "user": TypeAdapter(chat.ChatCompletionUserMessageParam),
    "assistant": TypeAdapter(chat.ChatCompletionAssistantMessageParam),
    "tool": TypeAdapter(chat.ChatCompletionToolMessageParam),
}
_REQUEST = TypeAdapter(_params.CompletionCreateParamsStreaming)
VENDORS = {
    *("reasoning_content", "reasoning", "reasoning_text", "thinking", "reasoning_details"),
    *("thinking_blocks", "extra_content", "provider_specific_fields", "thought"),
}
"""Members of messages and calls that vendors have beyond the official types."""


def check(body: bytes, *, spoilt: bool = False) -> None:
    """Fails with the first rule that the request in `body` breaks.

    `spoilt`: a server sent members of any names, which go back to it.
    """
    request = json.loads(body, parse_constant=_refuse, object_pairs_hook=_once)
    messages = request["messages"]
    _typed(_REQUEST, {**request, "messages": []})
    if "tools" not in request:
        assert not request.keys() & {"tool_choice", "parallel_tool_calls"}
    for message in messages:
        _typed(_MESSAGES[message["role"]], _official(message, spoilt))
        _worded(message)
    _ordered(messages)


def open_part(body: bytes) -> bytes:
    """The request without its end, to which a later one adds.

    That is the end of its JSON, and of the person's message, which later words may join.
    """
    whole = body.removesuffix(b"]}")
    last = json.loads(body)["messages"][-1]
    if last["role"] == "user":
        whole = whole.removesuffix(b'"}' if isinstance(last["content"], str) else b"]}")
    return whole


def _ordered(messages: list[dict[str, Any]]) -> None:
    """The system's message alone and first, then person and model by turns, the person last.

    The results of all calls come right after them, one each.
    """
    talk = messages[1:] if messages[0]["role"] == "system" else messages
    assert talk and talk[0]["role"] == "user", "the person begins"
    assert talk[-1]["role"] in ("user", "tool"), "the model is to go on"
    open_calls: list[str] = []
    last: dict[str, Any] = {"role": ""}
    for message in talk:
        role = message["role"]
        if role == "tool":
            assert message["tool_call_id"] in open_calls, "a result without a call"
            open_calls.remove(message["tool_call_id"])
        else:
            assert not open_calls, "a call without a result"
            assert role in ("user", "assistant"), "the system speaks once"
            shapes = [isinstance(it.get("content"), str) for it in (last, message)]
            both = role == last["role"] == "user" and shapes != [True, True]  # one has images
            assert role != last["role"] or both, f"two messages in a row: {role}"
        open_calls += [call["id"] for call in message.get("tool_calls", ())]
        assert len(set(open_calls)) == len(open_calls), "two calls with one id"
        last = message
    assert not open_calls, "a call without a result at the end"


def _worded(message: dict[str, Any]) -> None:
    """Nothing is empty, and arguments are a JSON object."""
    content, calls = message.get("content"), message.get("tool_calls")
    assert content or (message["role"] == "assistant" and calls and content is None)
    for part in content if isinstance(content, list) else ():
        assert part.get("text") != ""
    if isinstance(content, list) and message["role"] == "user":
        assert any(part["type"] == "image_url" for part in content), "text is a string"
    for call in calls or ():
        assert call["function"]["name"], "a call without a name"
        arguments = json.loads(call["function"]["arguments"], parse_constant=_refuse)
        assert isinstance(arguments, dict)


def _official(message: dict[str, Any], spoilt: bool) -> dict[str, Any]:
    """The message without the members that vendors have beyond the official types."""
    kept = _without_vendors(message)
    if spoilt and message["role"] == "assistant":
        kept = {name: kept[name] for name in kept if name in ("role", "content", "tool_calls")}
    if isinstance(kept.get("content"), list):
        own = message["role"] == "assistant"  # of kinds that only its server knows
        parts = [it for it in kept["content"] if not own or it["type"] in ("text", "refusal")]
        kept["content"] = parts
    if "tool_calls" in kept:
        kept["tool_calls"] = [_official_call(call, spoilt) for call in kept["tool_calls"]]
    return kept


def _official_call(call: dict[str, Any], spoilt: bool) -> dict[str, Any]:
    kept, function = _without_vendors(call), _without_vendors(call["function"])
    if spoilt:
        kept = {name: kept[name] for name in ("id", "type")}
        function = {name: function[name] for name in ("name", "arguments")}
    return {**kept, "function": function}


def _without_vendors(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: fields[name] for name in fields if name not in VENDORS}


def _typed(adapter: TypeAdapter[Any], data: dict[str, Any]) -> None:
    """Unknown members are left out of what the adapter gives, and so it differs."""
    assert _read(adapter.validate_python(data)) == data


def _read(value: Any) -> Any:
    """The value with each lazy sequence, which is checked as it is read, as a list."""
    if isinstance(value, dict):
        return {name: _read(it) for name, it in value.items()}
    if isinstance(value, list | tuple | Iterator) or hasattr(value, "__next__"):
        return [_read(it) for it in value]
    return value


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({name for name, _ in pairs}) == len(pairs), "a member that comes twice"
    return dict(pairs)
