"""How servers deviate from Messages and Chat Completions: from events to events. Knows no script.

Each function takes the events of one whole answer and returns them as some server sends them. None
changes its argument. An answer that is not streamed is one event, its message the only delta.
"""

from collections.abc import Callable
from typing import Any

from pydantic_core import from_json

from .deviations import Frames, no_nulls, without

WORDS, CHUNK, USAGE = "chat.delta", "chat.chunk", "chat.usage"
"""The types of a chat's chunks: with words, without, and the one that counts. None is sent."""

_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
"""The member of a block in Messages that a delta adds to."""


def _in_deltas(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Frames], Frames]:
    return lambda frames: [
        (
            kind,
            {**data, "choices": [{**it, "delta": change(it["delta"])} for it in data["choices"]]},
        )
        if "choices" in data
        else (kind, data)
        for kind, data in frames
    ]


def _in_pieces(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Frames], Frames]:
    """Changes the pieces of calls."""

    def changed(delta: dict[str, Any]) -> dict[str, Any]:
        if "tool_calls" not in delta:
            return delta
        return {**delta, "tool_calls": [change(piece) for piece in delta["tool_calls"]]}

    return _in_deltas(changed)


def _pieces(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [piece for it in data.get("choices", []) for piece in it["delta"].get("tool_calls", [])]


def _whole_calls(frames: Frames) -> Frames:
    """A call comes in one piece."""
    texts: dict[int, str] = {}
    for piece in (piece for _, data in frames for piece in _pieces(data)):
        at = piece["index"]
        texts[at] = texts.get(at, "") + piece["function"]["arguments"]
    kept = [it for it in frames if all("id" in piece for piece in _pieces(it[1]))]
    return _in_pieces(
        lambda it: {**it, "function": {**it["function"], "arguments": texts[it["index"]]}}
    )(kept)


def _repeated_heads(frames: Frames) -> Frames:
    heads: dict[int, dict[str, Any]] = {}

    def changed(piece: dict[str, Any]) -> dict[str, Any]:
        head = heads.setdefault(piece["index"], piece)
        return {**head, "function": {**head["function"], **piece["function"]}}

    return _in_pieces(changed)(frames)


def _object_arguments(piece: dict[str, Any]) -> dict[str, Any]:
    try:
        parsed = from_json(piece["function"]["arguments"])
    except ValueError:
        return piece
    return {**piece, "function": {**piece["function"], "arguments": parsed}}


def _reasoning_field(delta: dict[str, Any]) -> dict[str, Any]:
    if "reasoning_content" not in delta:
        return delta
    return {**without(delta, "reasoning_content"), "reasoning": delta["reasoning_content"]}


def _empty_reasoning(frames: Frames) -> Frames:
    """Reasoning that is an empty text comes first, where there is none."""
    deltas = [it["delta"] for _, data in frames for it in data.get("choices", [])]
    if any("reasoning_content" in delta for delta in deltas):
        return frames
    return _in_deltas(
        lambda delta: {**delta, "reasoning_content": ""} if delta is deltas[0] else delta
    )(frames)


def _stop_with_calls(frames: Frames) -> Frames:
    return [
        (kind, {**data, "choices": [{**it, "finish_reason": "stop"} for it in data["choices"]]})
        if any(it["finish_reason"] == "tool_calls" for it in data.get("choices", []))
        else (kind, data)
        for kind, data in frames
    ]


def _usage_in(place: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Frames], Frames]:
    """Puts the usage into the last chunk that has a choice."""

    def changed(frames: Frames) -> Frames:
        counts = [data for kind, data in frames if kind == USAGE]
        kept = [it for it in frames if it[0] != USAGE]
        if not counts or not kept:
            return kept
        kind, last = kept[-1]
        return [*kept[:-1], (kind, {**last, **place(counts[0])})]

    return changed


def _cache_hit_tokens(frames: Frames) -> Frames:
    def counted(usage: dict[str, Any]) -> dict[str, Any]:
        hit = usage["prompt_tokens_details"]["cached_tokens"]
        miss = usage["prompt_tokens"] - hit
        counts = {"prompt_cache_hit_tokens": hit, "prompt_cache_miss_tokens": miss}
        return {**without(usage, "prompt_tokens_details"), **counts}

    return [
        (kind, {**data, "usage": counted(data["usage"])} if data.get("usage") else data)
        for kind, data in frames
    ]


_CHAT_SHAPES: dict[str, Callable[[Frames], Frames]] = {
    "object_arguments": _in_pieces(_object_arguments),
    "chatcmpl_call_ids": _in_pieces(
        lambda it: {**it, "id": it["id"].replace("call_", "chatcmpl-tool-")} if "id" in it else it
    ),
    "no_call_ids": _in_pieces(lambda it: without(it, "id")),
    "empty_reasoning": _empty_reasoning,
    "demands_reasoning": _empty_reasoning,
    "reasoning_field": _in_deltas(_reasoning_field),
    "cache_hit_tokens": _cache_hit_tokens,
    "no_usage": lambda frames: [(kind, without(data, "usage")) for kind, data in frames],
    "no_nulls": no_nulls,
}

_CHAT_STREAMS: dict[str, Callable[[Frames], Frames]] = {
    "no_argument_deltas": _whole_calls,
    "repeated_call_heads": _repeated_heads,
    "zero_indexes": _in_pieces(lambda it: {**it, "index": 0}),
    "no_indexes": _in_pieces(lambda it: without(it, "index")),
    "stop_with_calls": _stop_with_calls,
    "usage_in_last_chunk": _usage_in(lambda it: {"usage": it.get("usage")}),
    "usage_in_x_groq": _usage_in(lambda it: {"x_groq": {"id": it["id"], "usage": it.get("usage")}}),
}


def _unsigned(block: dict[str, Any]) -> dict[str, Any]:
    return without(block, "signature") if block["type"] == "thinking" else block


def _unsigned_thinking(frames: Frames) -> Frames:
    changed: Frames = []
    for kind, data in frames:
        if kind == "content_block_start":
            changed.append((kind, {**data, "content_block": _unsigned(data["content_block"])}))
        elif kind == "message":
            content = [_unsigned(block) for block in data["content"]]
            changed.append((kind, {**data, "content": content}))
        elif data.get("delta", {}).get("type") != "signature_delta":
            changed.append((kind, data))
    return changed


def _whole_blocks(frames: Frames) -> Frames:
    """A block is whole as it begins, and has no deltas."""
    deltas: dict[int, list[dict[str, Any]]] = {}
    for kind, data in frames:
        if kind == "content_block_delta":
            deltas.setdefault(data["index"], []).append(data["delta"])
    return [
        (kind, {**data, "content_block": _filled(data["content_block"], deltas.get(data["index"]))})
        if kind == "content_block_start"
        else (kind, data)
        for kind, data in frames
        if kind != "content_block_delta"
    ]


def _filled(block: dict[str, Any], deltas: list[dict[str, Any]] | None) -> dict[str, Any]:
    filled, arguments = dict(block), ""
    for delta in deltas or ():
        arguments += delta.get("partial_json", "")
        if key := _DELTAS.get(delta["type"]):
            filled[key] = filled.get(key, "") + delta[key]
    try:
        return {**filled, "input": from_json(arguments)} if arguments else filled
    except ValueError:
        return {**filled, "input": arguments}


OF_MESSAGES: dict[str, Callable[[Frames], Frames]] = {
    "no_ping": lambda frames: [it for it in frames if it[0] != "ping"],
    "whole_blocks": _whole_blocks,
    "unsigned_thinking": _unsigned_thinking,
}
"""Deviations of Messages, applied in this order."""

OF_CHAT = _CHAT_STREAMS | _CHAT_SHAPES
"""Deviations of Chat Completions. Some are those of Responses by the same name."""


def deviate_messages(frames: Frames, names: frozenset[str]) -> Frames:
    """The events of Messages as a server with these deviations sends them."""
    for name, change in OF_MESSAGES.items():
        if name in names:
            frames = change(frames)
    return frames


def deviate_chat(frames: Frames, names: frozenset[str]) -> Frames:
    """The chunks of a chat as a server with these deviations sends them."""
    if "object_arguments" in names:
        names |= {"no_argument_deltas"}
    for name, change in OF_CHAT.items():
        if name in names:
            frames = change(frames)
    return frames


def deviate_whole_chat(whole: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """The answer without streaming, whose message comes as a delta."""
    frames: Frames = [(CHUNK, whole)]
    for name, change in _CHAT_SHAPES.items():
        if name in names:
            frames = change(frames)
    ((_, told),) = frames
    choices = [{**without(it, "delta"), "message": it["delta"]} for it in told["choices"]]
    return {**told, "choices": choices}
