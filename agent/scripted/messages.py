"""Anthropic's Messages API as a server speaks it: requests to items, Responses' events to its own.

Knows no network. The shapes are those of the `anthropic` package, 2.14.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

from pydantic import BaseModel
from pydantic_core import from_json

from ..protocol.verbatim_json import dumps
from .answers import Api
from .deviations import Frame
from .messages_rules import (
    ContentBlock,
    CustomTool,
    Markable,
    MessagesBody,
    Placed,
    RedactedThinking,
    TextBlock,
    Thinking,
    ToolResult,
    ToolUse,
    turns_of,
)
from .model import SentItem, count_tokens, opened_thought, seal_thought, sent_items
from .request import AskedRequest, Items, Position, RequestError, is_context, response_at
from .script import Response, Script
from .state import CacheUse, PromptBlock

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Read in 2026-11: https://docs.claude.com/en/api/errors."""
_CODES = {
    "context_length_exceeded": "invalid_request_error",
    "insufficient_quota": "billing_error",
    "rate_limit_exceeded": "rate_limit_error",
    "server_is_overloaded": "overloaded_error",
    **{kind: kind for kind in (*_ERROR_TYPES.values(), "api_error")},
}
"""The error's type by a code of the script."""
_ENDS = {"max_output_tokens": "max_tokens", "content_filter": "refusal"}
_BROKEN = "INVALID_JSON"
"""The member of a call's input that holds arguments which are no JSON object."""
_TOO_LONG = "prompt is too long: "
_TTLS = ("5m", "1h")
_MARKS: dict[str, Any] = {"cache_control": True, "content": {"__all__": {"cache_control"}}}
"""The cache marks of a block and of a result's parts, which are no part of the prompt."""
_COUNTED = (
    *("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"),
    *("output_tokens", "output_tokens_details"),
)
"""The members of a usage that come again at the end of a stream."""
_DROPPED = (
    "When `thinking` is enabled, a final `assistant` message must start with a thinking block"
    " (preceeding the lastmost set of `tool_use` and `tool_result` blocks). We recommend you"
    " include thinking blocks from previous turns. To avoid this requirement, disable `thinking`."
    " Please consult our documentation at"
    " https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
)
_CHANGED = (
    "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified."
    " These blocks must remain as they were in the original response."
)


class _Found(NamedTuple):
    placed: Placed
    position: Position
    response: Response


def check_thoughts(body: MessagesBody, script: Script) -> None:
    """Check that each thought is as it was sent, and that none of the latest answers is gone.

    The latest answers are those since the user said something. Raises RequestError.
    """
    turns, since = turns_of(body), 0
    for at, (role, turn) in enumerate(turns):
        if role == "user" and not isinstance(turn[0].block, ToolResult):
            since = at
        for path, block in turn:
            if isinstance(block, Thinking | RedactedThinking) and _thought_id(block) is None:
                part = "signature" if isinstance(block, Thinking) else "data"
                raise RequestError(f"{path}: Invalid `{part}` in `{block.type}` block")
    for role, turn in turns[since:] if body.thinks else []:
        if role == "assistant":
            _check_order([it for placed in turn if (it := _found(script, placed))])


def _found(script: Script, placed: Placed) -> _Found | None:
    """A call or a thought of this server, with its response."""
    block, own = placed.block, None
    if isinstance(block, ToolUse):
        own = block.id
    if isinstance(block, Thinking | RedactedThinking):
        own = _thought_id(block)
    found = response_at(script, own) if own else None
    return _Found(placed, *found) if found else None


def _check_order(turn: list[_Found]) -> None:
    called = {it.position for it in turn if isinstance(it.placed.block, ToolUse)}
    thought = {it.position for it in turn if not isinstance(it.placed.block, ToolUse)}
    before: list[Position] = []
    for (path, block), position, response in turn:
        if not isinstance(block, ToolUse):
            moved = bool(before) and position <= before[-1]
            if moved or (response.call and position not in called):
                raise RequestError(f"{path}: {_CHANGED}")
            before.append(position)
        elif response.reasoning is not None and position not in before:
            if position in thought:
                raise RequestError(f"{path}: {_CHANGED}")
            what = f"Expected `thinking` or `redacted_thinking`, but found `{block.type}`."
            raise RequestError(f"{path}.type: {what} {_DROPPED}")


def _thought_id(block: Thinking | RedactedThinking) -> str | None:
    """The id in a thought's seal. None if another server sealed it, or the thought was changed."""
    if isinstance(block, Thinking):
        return opened_thought(block.signature or "", block.thinking)
    return opened_thought(block.data, "")


def asked_of(body: MessagesBody) -> AskedRequest:
    """The request in Responses' words. Texts of the assistant have no ids yet."""
    items: Items = []
    for message in body.messages:
        items += _said(message.content) if message.role == "user" else map(_made, message.content)
    tools = [
        {"type": "function", "name": tool.name, "parameters": tool.input_schema.model_dump()}
        for tool in body.tools
        if isinstance(tool, CustomTool)
    ]
    return AskedRequest(
        model=body.model,
        input=items,
        stream=body.stream,
        instructions="\n\n".join(text.text for text in body.system) or None,
        tools=tools,
        max_output_tokens=body.max_tokens,
    )


def _said(blocks: Iterable[ContentBlock]) -> Iterator[dict[str, Any]]:
    """The items of a user's message: results, context of the client, and the rest as one."""
    parts: Items = []
    for block in blocks:
        if isinstance(block, ToolResult):
            output = [_part(part) for part in block.content]
            yield {"type": "function_call_output", "call_id": block.tool_use_id, "output": output}
        elif isinstance(block, TextBlock) and is_context(block.text):
            yield {"type": "message", "role": "user", "content": [_part(block)]}
        else:
            parts.append(_part(block))
    if parts:
        yield {"type": "message", "role": "user", "content": parts}


def _part(block: ContentBlock) -> dict[str, Any]:
    if isinstance(block, TextBlock):
        return {"type": "input_text", "text": block.text}
    return {"type": "input_image", **block.model_dump(include={"source"})}


def _made(block: ContentBlock) -> dict[str, Any]:
    match block:
        case ToolUse():
            call = {"call_id": block.id, "name": block.name}
            return {"type": "function_call", **call, "arguments": dumps(block.input).decode()}
        case Thinking():
            summary = [{"type": "summary_text", "text": block.thinking}]
            return {"type": "reasoning", "id": _thought_id(block), "summary": summary}
        case RedactedThinking():
            return {"type": "reasoning", "id": _thought_id(block), "summary": []}
        case _:
            text = block.text if isinstance(block, TextBlock) else ""
            content = [{"type": "output_text", "text": text}]
            return {"type": "message", "role": "assistant", "content": content}


def prompt_blocks(body: MessagesBody) -> list[PromptBlock]:
    """The blocks of the prompt in the order in which it is read, with their cache marks.

    Another tool choice or thinking changes all that follows the system's text.
    """
    choices = [body.tool_choice, body.thinking]
    blocks = [_block("tool", tool) for tool in body.tools]
    blocks += [_block("system", text) for text in body.system]
    first = dumps([choice.model_dump() if choice else None for choice in choices])
    for message in body.messages:
        for block in message.content:
            inner = block.content if isinstance(block, ToolResult) else []
            ttl = next((it.cache_control.ttl for it in inner if it.cache_control), None)
            text, own = _block(message.role, block)
            blocks.append(PromptBlock(first + text, own or ttl))
            first = b""
    last = len(blocks) - 1
    if body.cache_control and last >= 0:
        blocks[last] = blocks[last]._replace(ttl=blocks[last].ttl or body.cache_control.ttl)
    return blocks


def _block(role: str, block: BaseModel) -> PromptBlock:
    mark = block.cache_control if isinstance(block, Markable) else None
    plain = block.model_dump(exclude=_MARKS, exclude_none=True)
    return PromptBlock(dumps([role, plain]), mark.ttl if mark else None)


def _error_body(status: int, error: dict[str, Any]) -> dict[str, Any]:
    own = "api_error" if status >= 500 else "invalid_request_error"
    kind = _CODES.get(error["code"] or "", _ERROR_TYPES.get(status, own))
    words = _TOO_LONG if error["code"] == "context_length_exceeded" else ""
    return {"type": "error", "error": {"type": kind, "message": f"{words}{error['message']}"}}


MESSAGES_API = Api(
    _error_body,
    (
        "content_block_delta",
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"cut ',
    ),
    done=False,
)


class _Block(NamedTuple):
    """A block of an answer. `start`: as it begins. `done`: it came to its end."""

    start: dict[str, Any]
    deltas: list[dict[str, Any]]
    whole: dict[str, Any]
    done: bool


def message_events(
    events: list[Frame], body: MessagesBody, use: CacheUse, paused: bool
) -> list[Frame]:
    """The events of a stream, from those of `frames`. `paused`: the turn is not over."""
    response = events[-1][1]["response"]
    blocks, failed = _blocks(events, body), response["error"] is not None
    ended = _message(response, blocks, use, paused)
    told: list[Frame] = []
    if not failed or events[0][0] == "response.created":
        usage = {**ended["usage"], "output_tokens": 1, "output_tokens_details": None}
        started = ended | dict.fromkeys(("stop_reason", "stop_details"))
        told = [("message_start", {"message": {**started, "content": [], "usage": usage}})]
    for index, block in enumerate(blocks):
        told.append(("content_block_start", {"index": index, "content_block": block.start}))
        for delta in block.deltas:
            told.append(("content_block_delta", {"index": index, "delta": delta}))
        if block.done or not failed:
            told.append(("content_block_stop", {"index": index}))
    told[2:2] = [("ping", {})] if told else []
    if failed:
        told.append(("error", _error_body(500, response["error"])))
    else:
        delta = {name: ended[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
        usage = {name: ended["usage"][name] for name in _COUNTED}
        told += [("message_delta", {"delta": delta, "usage": usage}), ("message_stop", {})]
    return [(kind, {"type": kind, **data}) for kind, data in told]


def sent_message(
    events: list[Frame], body: MessagesBody, use: CacheUse, paused: bool
) -> dict[str, Any]:
    """The message that is sent without streaming."""
    return _message(events[-1][1]["response"], _blocks(events, body), use, paused)


def _blocks(events: list[Frame], body: MessagesBody) -> list[_Block]:
    hides = body.thinking.display == "omitted"
    shown = (sent for sent in sent_items(events) if body.thinks or sent.item["type"] != "reasoning")
    return [block for sent in shown if (block := _block_of(sent, hides))]


def _block_of(sent: SentItem, hides: bool) -> _Block | None:
    item, words, done = sent
    text = "".join(words)
    match item["type"]:
        case "message":
            deltas = [{"type": "text_delta", "text": word} for word in words]
            start = {"type": "text", "text": ""}
            return _Block(start, deltas, {**start, "text": text}, done)
        case "function_call":
            own = item["call_id"].replace("call_", "toolu_", 1)
            start: dict[str, Any] = {"type": "tool_use", "id": own, "name": item["name"]}
            start["input"] = {}
            deltas = [{"type": "input_json_delta", "partial_json": word} for word in ["", *words]]
            return _Block(start, deltas, {**start, "input": _input_of(text)}, done)
        case "reasoning" if done and not item["summary"]:
            start = {"type": "redacted_thinking", "data": seal_thought(item["id"], "")}
            return _Block(start, [], start, done)
        case "reasoning":
            shown = [] if hides else words
            sealed = seal_thought(item["id"], "".join(shown))
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": word} for word in shown]
            deltas += [{"type": "signature_delta", "signature": sealed}] if done else []
            whole = {**start, "thinking": "".join(shown), "signature": sealed}
            return _Block(start, deltas, whole, done)
        case _:
            return None


def _input_of(arguments: str) -> dict[str, Any]:
    """A call's input. Arguments that are no JSON object are in a member of their own."""
    try:
        parsed: object = from_json(arguments)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        return cast("dict[str, Any]", parsed)
    return {_BROKEN: arguments}


def _message(
    response: dict[str, Any], blocks: list[_Block], use: CacheUse, paused: bool
) -> dict[str, Any]:
    """The whole message with these blocks."""
    content = [block.whole for block in blocks]
    thought = sum(count_tokens(block.get("thinking", "").encode()) for block in content)
    usage = {
        "input_tokens": use.rest,
        "cache_creation_input_tokens": use.written.total(),
        "cache_read_input_tokens": use.read,
        "cache_creation": {f"ephemeral_{ttl}_input_tokens": use.written[ttl] for ttl in _TTLS},
        "output_tokens": count_tokens(dumps(content)),
        "output_tokens_details": {"thinking_tokens": thought},
        "service_tier": "standard",
    }
    stop = _stop_reason(response, content, paused)
    refused = {"type": "refusal", "category": None, "explanation": None}
    return {
        **{"type": "message", "role": "assistant", "model": response["model"]},
        "id": response["id"].replace("resp_", "msg_", 1),
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "stop_details": refused if stop == "refusal" else None,
        "usage": usage,
    }


def _stop_reason(response: dict[str, Any], content: Items, paused: bool) -> str:
    if (details := response["incomplete_details"]) is not None:
        reason = str(details["reason"])
        return _ENDS.get(reason, reason)
    if paused:
        return "pause_turn"
    return "tool_use" if any(block["type"] == "tool_use" for block in content) else "end_turn"


def model_info(name: str) -> dict[str, Any]:
    """A model as Anthropic lists it."""
    yes, no = {"supported": True}, {"supported": False}
    efforts = dict.fromkeys(("low", "medium", "high", "xhigh", "max"), yes)
    modes = dict.fromkeys(("adaptive", "enabled", "disabled"), yes)
    return {
        **{"type": "model", "id": name, "display_name": name, "lifecycle": "active"},
        **dict.fromkeys(("line", "deprecated_at", "retires_at")),
        "created_at": "1970-01-01T00:00:00Z",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
        "capabilities": {
            **dict.fromkeys(("batch", "citations", "code_execution", "context_management"), no),
            **dict.fromkeys(("pdf_input", "structured_outputs"), no),
            "server_tools": {**no, "code_execution": no, "web_search": no},
            "image_input": yes,
            "effort": {**yes, **efforts},
            "thinking": {**yes, "types": {**modes, "between_tools": no}},
        },
    }
