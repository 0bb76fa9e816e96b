"""The responses of the measuring server, made once, as the bytes to send. Does no I/O.

Every response is valid by Open Responses 2026-04-24 and streams through the `openai` SDK. Its bytes
have `@@@@@` in place of its number until it is sent.
"""

import json
from collections.abc import Iterable
from typing import Any

from .frames import TEXT, frame

TOOL = "run_cell"
"""The tool that every client has."""
NUMBER = b"@@@@@"
ANSWER = "Done: every step was taken."
DELTA = " and the rain of that week, measured in the yard,"
"""One delta of the long stream. Its event has about 200 bytes."""
EVENTS_A_WRITE = 300
"""Events of the long stream in one write and one HTTP chunk: about 64 KB."""

Event = dict[str, Any]

SSE_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
SSE_END = b"data: [DONE]\n\n"
LAST_CHUNK = b"0\r\n\r\n"


def call_events() -> list[Event]:
    """A response that calls the tool."""
    arguments = json.dumps({"title": f"Step {NUMBER.decode()}", "code": "a = 1"})
    call = {"id": f"fc_{NUMBER.decode()}", "type": "function_call"}
    call |= {"call_id": f"call_{NUMBER.decode()}", "name": TOOL}
    done = {**call, "arguments": arguments, "status": "completed"}
    at = {"item_id": call["id"], "output_index": 0}
    half = len(arguments) // 2
    deltas = [
        {"type": "response.function_call_arguments.delta", **at, "delta": part}
        for part in (arguments[:half], arguments[half:])
    ]
    return _numbered(
        [
            *_opening(),
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {**call, "arguments": "", "status": "in_progress"},
            },
            *deltas,
            {"type": "response.function_call_arguments.done", **at, "arguments": arguments},
            {"type": "response.output_item.done", "output_index": 0, "item": done},
            {"type": "response.completed", "response": _snapshot("completed", [done])},
        ]
    )


def message_events(deltas: list[str]) -> list[Event]:
    """A response with a message, in so many deltas."""
    at = {"item_id": f"msg_{NUMBER.decode()}", "output_index": 0}
    place = {**at, "content_index": 0}
    text = "".join(deltas)
    part = {"type": "output_text", "annotations": [], "logprobs": []}
    item = {"id": at["item_id"], "type": "message", "role": "assistant"}
    done = {**item, "content": [{**part, "text": text}], "status": "completed"}
    kind = "response.output_text"
    return _numbered(
        [
            *_opening(),
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {**item, "content": [], "status": "in_progress"},
            },
            {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
            *({"type": f"{kind}.delta", **place, "delta": d, "logprobs": []} for d in deltas),
            {"type": f"{kind}.done", **place, "text": text, "logprobs": []},
            {"type": "response.content_part.done", **place, "part": {**part, "text": text}},
            {"type": "response.output_item.done", "output_index": 0, "item": done},
            {"type": "response.completed", "response": _snapshot("completed", [done])},
        ]
    )


def sse(events: Iterable[Event]) -> bytes:
    """Events as the body of a stream, without its end."""
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), _json(e)) for e in events)


def http_response(events: list[Event]) -> bytes:
    """A whole answer in one chunk."""
    return SSE_HEAD + chunk(sse(events) + SSE_END) + LAST_CHUNK


def websocket_response(events: list[Event]) -> bytes:
    """A whole answer, a frame an event."""
    return b"".join(frame(TEXT, _json(event)) for event in events)


def http_writes(events: list[Event], each: bool) -> list[bytes]:
    """A long answer in several writes. `each`: every event is a chunk of its own."""
    writes = [SSE_HEAD]
    for start in range(0, len(events), EVENTS_A_WRITE):
        some = events[start : start + EVENTS_A_WRITE]
        writes.append(b"".join(chunk(sse([e])) for e in some) if each else chunk(sse(some)))
    return [*writes, chunk(SSE_END) + LAST_CHUNK]


def websocket_writes(events: list[Event]) -> list[bytes]:
    """A long answer in several writes, a frame an event."""
    starts = range(0, len(events), EVENTS_A_WRITE)
    return [websocket_response(events[start : start + EVENTS_A_WRITE]) for start in starts]


def chunk(data: bytes) -> bytes:
    """One chunk of an HTTP/1.1 body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _opening() -> list[Event]:
    return [
        {"type": f"response.{kind}", "response": _snapshot("in_progress", [])}
        for kind in ("created", "in_progress")
    ]


def _numbered(events: list[Event]) -> list[Event]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _snapshot(status: str, output: list[Event]) -> Event:
    usage = {
        "input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 900, "cache_write_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 1020,
    }
    done = status == "completed"
    absent = (
        "incomplete_details previous_response_id instructions error reasoning max_output_tokens"
        " max_tool_calls safety_identifier prompt_cache_key"
    )
    return {
        "id": f"resp_{NUMBER.decode()}",
        "object": "response",
        "created_at": 1_772_000_000,
        "completed_at": 1_772_000_001 if done else None,
        "status": status,
        "model": "canned",
        "output": output,
        "usage": usage if done else None,
        **dict.fromkeys(absent.split()),
        "tools": [],
        "tool_choice": "auto",
        "truncation": "disabled",
        "parallel_tool_calls": True,
        "text": {"format": {"type": "text"}},
        "top_p": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "top_logprobs": 0,
        "temperature": 1.0,
        "store": False,
        "background": False,
        "service_tier": "default",
        "metadata": {},
    }


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
