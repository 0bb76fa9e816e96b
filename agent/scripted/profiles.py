"""Deviations in framing, error bodies and refusals, and profiles of whole servers by name.

Pure tables beside those of the events. Knows no script and no network.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..protocol.verbatim_json import dumps
from .deviations import OF_EVENTS
from .dialect_deviations import OF_CHAT, OF_MESSAGES

Chunk = tuple[bytes, float]
"""Bytes that are sent at once, and the seconds to wait after them."""

Body = tuple[str, bytes]
"""A content type, and content of that type."""


def _each(change: Callable[[bytes], bytes]) -> Callable[[Iterable[Chunk]], Iterator[Chunk]]:
    def changed(pieces: Iterable[Chunk]) -> Iterator[Chunk]:
        return ((change(data), pause) for data, pause in pieces)

    return changed


def _no_event_line(frame: bytes) -> bytes:
    return frame[frame.index(b"\n") + 1 :] if frame.startswith(b"event:") else frame


def _multi_line_data(frame: bytes) -> bytes:
    """The JSON has many lines, each with a `data:` of its own."""
    head, mark, data = frame.partition(b"data: {")
    if not mark:
        return frame
    whole = json.dumps(json.loads(b"{" + data), indent=1).encode()
    return head + b"data: " + whole.replace(b"\n", b"\ndata: ") + b"\n\n"


def _with_ids(pieces: Iterable[Chunk]) -> Iterator[Chunk]:
    for number, (frame, pause) in enumerate(pieces):
        yield b"id: %d\nretry: 3000\n%b" % (number, frame), pause


def _comments(pieces: Iterable[Chunk]) -> Iterator[Chunk]:
    for frame, pause in pieces:
        yield b": keep-alive\n\n", 0
        yield frame, pause


def _bom(pieces: Iterable[Chunk]) -> Iterator[Chunk]:
    for number, (frame, pause) in enumerate(pieces):
        yield frame if number else b"\xef\xbb\xbf" + frame, pause


def _byte_by_byte(pieces: Iterable[Chunk]) -> Iterator[Chunk]:
    for frame, pause in pieces:
        for at in range(len(frame)):
            yield frame[at : at + 1], pause if at == len(frame) - 1 else 0


def _in_one_go(pieces: Iterable[Chunk]) -> Iterator[Chunk]:
    whole = list(pieces)
    yield b"".join(frame for frame, _ in whole), sum(pause for _, pause in whole)


OF_FRAMING: dict[str, Callable[[Iterable[Chunk]], Iterator[Chunk]]] = {
    "no_done": lambda pieces: (it for it in pieces if it[0] != b"data: [DONE]\n\n"),
    "multi_line_data": _each(_multi_line_data),
    "no_event_line": _each(_no_event_line),
    "no_space": _each(lambda frame: frame.replace(b"data: ", b"data:", 1)),
    "ids_and_retry": _with_ids,
    "comments": _comments,
    "crlf": _each(lambda frame: frame.replace(b"\n", b"\r\n")),
    "cr": _each(lambda frame: frame.replace(b"\n", b"\r")),
    "bom": _bom,
    "in_one_go": _in_one_go,
    "byte_by_byte": _byte_by_byte,
}
"""Deviations of a stream's bytes. They take one frame a piece, and are applied in this order."""


def _json(value: object) -> Body:
    return "application/json", dumps(value)


def _error_sse(_: int, body: dict[str, Any]) -> Body:
    return "text/event-stream", b"data: %b\n\ndata: [DONE]\n\n" % dumps(body)


def _error_detail_list(_: int, body: dict[str, Any]) -> Body:
    error = body["error"]
    where = {"loc": ["body", error.get("param")], "msg": error["message"], "type": "missing"}
    return _json({"detail": [where]})


def _error_in_list(status: int, body: dict[str, Any]) -> Body:
    error = {"code": status, "message": body["error"]["message"], "status": "INVALID_ARGUMENT"}
    return _json([{"error": error}])


def _error_code(code: Callable[[int], object]) -> Callable[[int, dict[str, Any]], Body]:
    return lambda status, body: _json({**body, "error": {**body["error"], "code": code(status)}})


OF_ERRORS: dict[str, Callable[[int, dict[str, Any]], Body]] = {
    "error_detail": lambda _, body: _json({"detail": body["error"]["message"]}),
    "error_detail_list": _error_detail_list,
    "error_code_is_the_status": _error_code(int),
    "error_code_is_text": _error_code(str),
    "error_plain_text": lambda _, body: ("text/plain", body["error"]["message"].encode()),
    "error_in_list": _error_in_list,
    "error_sse": _error_sse,
}
"""Deviations of the body of an HTTP error, from its status and the API's own body."""

OF_REQUESTS: dict[str, str] = {
    "streams_by_default": "A request that does not say `stream` is streamed.",
    "ignores_previous_response": "`previous_response_id` is ignored.",
    "ignores_unknown_previous_response": "An unknown `previous_response_id` is ignored.",
    "refuses_previous_response": "Any `previous_response_id` is a 400.",
    "unknown_previous_response_404": "An unknown `previous_response_id` is a 404.",
    "refuses_unknown_fields": "A field that Open Responses does not have is a 422.",
    "refuses_unknown_items": "An input item that Open Responses does not have is a 400.",
    "refuses_formats": "A tool whose schema has `format` is a 400 that names its place.",
    "refuses_tool_search": "A search for tools among the tools is a 400.",
    "refuses_other_models": "Any model but the script's is a 404.",
    "only_responses": "There is nothing but `POST /responses` and `/models`.",
    "no_websocket": "A WebSocket's handshake is a 426.",
    "demands_reasoning": "A chat's call must come back with its `reasoning_content`, even empty.",
    "thought_signatures": "A chat's first call has a signature, which must come back.",
    "refuses_prefill": "Messages that end with the assistant's are a 400.",
}
"""Deviations in reading requests. The service that answers requests implements them."""

PROFILES: dict[str, tuple[str, ...]] = {
    "transformers": (
        "no_websocket",
        "no_event_line",
        "no_done",
        "queued_first",
        "reasoning_text_without_parts",
        "no_argument_deltas",
        "one_output_index",
        "repeated_messages",
        "ids_without_prefix",
        "no_nulls",
        "fractional_created_at",
        "incomplete_hidden",
        "tools_not_echoed",
        "extra_fields",
        "streams_by_default",
        "ignores_previous_response",
        "refuses_unknown_fields",
        "refuses_unknown_items",
        "only_responses",
        "error_detail",
    ),
    "vllm": (
        "no_websocket",
        "no_done",
        "chatcmpl_call_ids",
        "reasoning_text",
        "incomplete_as_completed",
        "no_phase",
        "extra_fields",
        "unknown_previous_response_404",
        "refuses_other_models",
        "error_code_is_the_status",
    ),
    "litellm": (
        "no_websocket",
        "no_event_line",
        "odd_sequence_numbers",
        "no_logprobs",
        "no_summary_index",
        "no_nulls",
        "reasoning_with_role",
        "late_done",
        "long_response_ids",
        "usage_without_details",
        "ignores_unknown_previous_response",
        "error_code_is_text",
    ),
    "llamacpp": (
        "no_websocket",
        "no_done",
        "no_sequence_numbers",
        "no_indexes",
        "no_logprobs",
        "reasoning_text_without_parts",
        "empty_encrypted_content",
        "no_arguments_done",
        "late_done",
        "bare_snapshots",
        "no_nulls",
        "incomplete_hidden",
        "hosted_tools_dropped",
        "refuses_previous_response",
        "refuses_unknown_items",
        "error_code_is_the_status",
    ),
    "fastapi-openai-compat": (
        "no_websocket",
        "no_done",
        "no_sequence_numbers",
        "no_logprobs",
        "bare_snapshots",
        "no_nulls",
        "null_usage",
    ),
    "open-responses-server": (
        "no_websocket",
        "no_event_line",
        "no_done",
        "no_sequence_numbers",
        "no_content_index",
        "no_logprobs",
        "no_item_added",
        "no_part_events",
        "arguments_done_with_id",
        "one_output_index",
        "ids_without_prefix",
        "status_ready",
        "no_model",
        "null_usage",
        "error_detail",
    ),
    "gemini": (
        "no_websocket",
        "no_indexes",
        "no_argument_deltas",
        "stop_with_calls",
        "thought_signatures",
        "error_in_list",
    ),
    "deepseek": (
        "no_websocket",
        "demands_reasoning",
        "usage_in_last_chunk",
        "cache_hit_tokens",
    ),
    "groq": (
        "no_websocket",
        "no_argument_deltas",
        "reasoning_field",
        "usage_in_x_groq",
    ),
    "ollama": (
        "no_websocket",
        "no_argument_deltas",
        "zero_indexes",
        "reasoning_field",
    ),
}
"""Whole servers as sets of deviations, as they were in 2026."""

DEVIATION_NAMES = frozenset(
    (*OF_EVENTS, *OF_CHAT, *OF_MESSAGES, *OF_FRAMING, *OF_ERRORS, *OF_REQUESTS, *PROFILES)
)


def expand(names: Iterable[str]) -> frozenset[str]:
    """The single deviations in `names`, which may also name servers."""
    return frozenset(single for name in names for single in PROFILES.get(name, (name,)))


def framed(pieces: Iterable[Chunk], names: frozenset[str]) -> Iterable[Chunk]:
    """The frames of a stream as the bytes that a server with these deviations sends."""
    for name, change in OF_FRAMING.items():
        if name in names:
            pieces = change(pieces)
    return pieces


def error_body(status: int, body: dict[str, Any], names: frozenset[str]) -> Body:
    """The body of an HTTP error as it is sent. `body`: in the API's own form."""
    for name, shape in OF_ERRORS.items():
        if name in names:
            return shape(status, body)
    return _json(body)
