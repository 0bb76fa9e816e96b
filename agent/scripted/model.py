"""The scripted model: the events of a response. Knows no network and no clock.

The events are strict Open Responses 2026-04-24.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

from ..protocol.verbatim_json import dumps
from .deviations import Frame
from .hosted.searches import is_search, namespace_of, search_item
from .request import AskedRequest, Items, Position, seal
from .script import NO_FAULT, Fault, Response, Script, ScriptedCall
from .state import BLOCK_TOKENS, TOKEN_BYTES

_WORD = re.compile(r"\S+\s*|\s+")
_NOT_ECHOED = ("input", "stream", "include", "generate", "prompt", "context_management")
_WHOLE = (None, "malformed", "pause")
"""Events of a fault with which a response is complete all the same."""


class SentItem(NamedTuple):
    """An item as far as it was sent. `words`: of its deltas. `done`: it came to its end."""

    item: dict[str, Any]
    words: list[str]
    done: bool


def count_tokens(prompt: bytes) -> int:
    """A simulated count: four bytes of JSON are a token."""
    return len(prompt) // TOKEN_BYTES


def frames(
    script: Script,
    position: Position,
    request: AskedRequest,
    created_at: int,
    cached: int = 0,
    fault: Fault = NO_FAULT,
) -> Iterator[Frame]:
    """The events of one response, each with its type. Equal requests have equal events.

    `created_at`: seconds since 1970. `cached`: input tokens counted as cached. `fault`: its `event`
    and `after` shape the end.
    """
    started = _resource(script, position.item_id("resp", 0), request, created_at)
    items = _items(script.turn[position.turn].response[position.response], position, request)
    if fault.event == "incomplete" and items and "status" in items[-1]:
        items[-1]["status"] = "incomplete"
    events = _opening(started)
    for index, item in enumerate(items):
        events += _item_events(index, item)
    if fault.event not in _WHOLE:
        events = events[: fault.after]
    output = [data["item"] for kind, data in events if kind == "response.output_item.done"]
    ended = {**started, "output": output, "usage": _usage(request, output, cached)}
    yield from _numbered(events + _ending(ended, fault))


def sent_items(events: Iterable[Frame]) -> list[SentItem]:
    """The items in the events of `frames`, for an API that has other events."""
    sent: list[SentItem] = []
    for kind, data in events:
        if kind == "response.output_item.added":
            sent.append(SentItem(data["item"], [], False))
        elif kind == "response.output_item.done":
            sent[-1] = SentItem(data["item"], sent[-1].words, True)
        elif "delta" in data:
            sent[-1].words.append(data["delta"])
    return sent


def seal_thought(item_id: str, shown: str) -> str:
    """The signature of a thought: its id, and a digest of that and of the text that was shown."""
    digest = blake2b(f"{item_id} {shown}".encode(), digest_size=16).hexdigest()
    return base64.b64encode(f"{item_id} {digest}".encode()).decode()


def opened_thought(sealed: str, shown: str) -> str | None:
    """The id in a thought's signature. None for another server's, or another text."""
    try:
        item_id = base64.b64decode(sealed, validate=True).decode().partition(" ")[0]
    except ValueError:
        return None
    return item_id if seal_thought(item_id, shown) == sealed else None


def warmed_up(
    script: Script, request: AskedRequest, created_at: int, cached: int
) -> Iterator[Frame]:
    """The events for a request that generates nothing and is only kept."""
    started = _resource(script, "resp_warm", request, created_at)
    ended = {**started, "usage": _usage(request, [], cached)}
    yield from _numbered(_opening(started) + _ending(ended, NO_FAULT))


def compacted(request: AskedRequest, created_at: int) -> dict[str, Any]:
    """The compaction of the request's input: the users' messages, and one item for the rest."""
    mark = _digest(request)
    users = [item for item in request.input if item.get("role") == "user"]
    kept = listed(users, mark)
    sealed = _compaction(request, f"cmp_{mark}")
    return {
        "id": f"resp_cmp_{mark}",
        "object": "response.compaction",
        "created_at": created_at,
        "output": [*kept, sealed],
        "usage": _usage(request, [sealed], 0),
    }


def _compaction(request: AskedRequest, item_id: str) -> dict[str, Any]:
    """An item for all of the request's input."""
    return {"type": "compaction", "id": item_id, "encrypted_content": seal(request.input)}


def _is_too_long(request: AskedRequest) -> bool:
    """True if the request asks for a compaction at its length."""
    found = (rule for rule in request.context_management if rule.get("type") == "compaction")
    least = next((rule.get("compact_threshold") for rule in found), None)
    return isinstance(least, int) and count_tokens(request.prompt) >= least


def listed(items: Items, mark: str) -> Items:
    """Input items as the server lists them: each with an id, messages with parts and a status."""
    return [_listed(item, f"in_{mark}_{number}") for number, item in enumerate(items)]


def _listed(item: dict[str, Any], item_id: str) -> dict[str, Any]:
    kind = item.get("type", "message")
    shown = {"type": kind, "id": f"msg_{item_id}" if kind == "message" else item_id}
    shown |= {"status": "completed", **item}
    if isinstance(text := item.get("content"), str):
        part: dict[str, Any] = {"type": "input_text", "text": text}
        if item.get("role") == "assistant":
            part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        shown["content"] = [part]
    return shown


def _digest(request: AskedRequest) -> str:
    """A digest that differs between conversations at the same position in the script."""
    return blake2b(request.prompt, digest_size=6).hexdigest()


def _opening(started: dict[str, Any]) -> list[Frame]:
    kinds = ("response.created", "response.in_progress")
    return [(kind, {"response": started}) for kind in kinds]


def _numbered(events: list[Frame]) -> Iterator[Frame]:
    for number, (kind, data) in enumerate(events):
        yield kind, {"type": kind, "sequence_number": number, **data}


def _resource(script: Script, name: str, request: AskedRequest, created_at: int) -> dict[str, Any]:
    tool = {"description": None, "parameters": None, "strict": None}
    return {
        "id": f"{name}_{_digest(request)}",
        "object": "response",
        "created_at": created_at,
        "completed_at": None,
        "status": "in_progress",
        "incomplete_details": None,
        "error": None,
        "usage": None,
        "background": False,
        "service_tier": "default",
        "output": [],
        **{name: value for name, value in request if name not in _NOT_ECHOED},
        "model": script.model,
        "tools": [tool | given for given in request.tools],
        "text": {"format": {"type": "text"}} | request.text,
        "reasoning": {"effort": None, "summary": None} | (request.reasoning or {}),
    }


def _items(response: Response, position: Position, request: AskedRequest) -> Items:
    """The whole output of the response."""
    items: Items = []
    if _is_too_long(request):
        items.append(_compaction(request, position.item_id("cmp", 0)))
    if response.reasoning is not None:
        shown = None if response.redacted else response.reasoning
        items.append(_reasoning(response.reasoning, shown, position, request))
    if response.say is not None:
        phase = "commentary" if response.call else "final_answer"
        items.append(_message(response.say, phase, position.item_id("msg", len(items))))
    calls = enumerate(response.call, len(items))
    return items + [_call(call, position, index, request) for index, call in calls]


def _reasoning(
    text: str, shown: str | None, position: Position, request: AskedRequest
) -> dict[str, Any]:
    sealed = base64.b64encode(f"{position} {text}".encode()).decode()
    return {
        "type": "reasoning",
        "id": position.item_id("rs", 0),
        "summary": [] if shown is None else [{"type": "summary_text", "text": shown}],
        "encrypted_content": sealed if "reasoning.encrypted_content" in request.include else None,
    }


def _message(text: str, phase: str, item_id: str) -> dict[str, Any]:
    return {
        "type": "message",
        "id": item_id,
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
        "phase": phase,
    }


def _call(
    call: ScriptedCall, position: Position, index: int, request: AskedRequest
) -> dict[str, Any]:
    if is_search(call, request):
        return search_item(call, position, index)
    given = call.arguments
    return {
        "type": "function_call",
        "id": position.item_id("fc", index),
        "status": "completed",
        "call_id": position.item_id("call", index),
        "name": call.name,
        **namespace_of(call, request),
        "arguments": given if isinstance(given, str) else json.dumps(given, ensure_ascii=False),
    }


def _item_events(index: int, item: dict[str, Any]) -> Iterator[Frame]:
    where = {"item_id": item["id"], "output_index": index}
    blank: dict[str, Any]
    match item["type"]:
        case "message":
            blank = {"status": "in_progress", "content": []}
            inner = _message_events(where, item["content"][0])
        case "compaction":
            blank, inner = {}, iter(())
        case "tool_search_call":
            blank = {"status": "in_progress", "arguments": dict[str, Any]()}
            inner = iter(())
        case "reasoning":
            blank = {"summary": [], "encrypted_content": None}
            inner = _summary_events(where, item["summary"])
        case _:
            blank = {"status": "in_progress", "arguments": ""}
            inner = _text_events("function_call_arguments", where, "arguments", item["arguments"])
    yield "response.output_item.added", {"output_index": index, "item": {**item, **blank}}
    yield from inner
    yield "response.output_item.done", {"output_index": index, "item": item}


def _message_events(where: dict[str, Any], part: dict[str, Any]) -> Iterator[Frame]:
    at = {**where, "content_index": 0}
    yield "response.content_part.added", {**at, "part": {**part, "text": ""}}
    yield from _text_events("output_text", {**at, "logprobs": []}, "text", part["text"])
    yield "response.content_part.done", {**at, "part": part}


def _summary_events(where: dict[str, Any], parts: Items) -> Iterator[Frame]:
    for index, part in enumerate(parts):
        at = {**where, "summary_index": index}
        yield "response.reasoning_summary_part.added", {**at, "part": {**part, "text": ""}}
        yield from _text_events("reasoning_summary_text", at, "text", part["text"])
        yield "response.reasoning_summary_part.done", {**at, "part": part}


def _text_events(kind: str, where: dict[str, Any], key: str, text: str) -> Iterator[Frame]:
    for word in _WORD.findall(text):
        yield f"response.{kind}.delta", {**where, "delta": word}
    yield f"response.{kind}.done", {**where, key: text}


def _ending(response: dict[str, Any], fault: Fault) -> list[Frame]:
    if fault.event in _WHOLE:
        done = {"status": "completed", "completed_at": response["created_at"]}
        return [("response.completed", {"response": response | done})]
    if fault.event == "incomplete":
        details = {"reason": fault.code or "max_output_tokens"}
        cut = {"status": "incomplete", "incomplete_details": details}
        return [("response.incomplete", {"response": response | cut})]
    error = {"code": fault.code or "server_error", "message": fault.message}
    failed = {"response": response | {"status": "failed", "error": error}}
    ending: list[Frame] = [("response.failed", failed)]
    if fault.event == "error":
        told = {"type": "server_error", "param": None, **error}
        ending.insert(0, ("error", {"error": told}))
    return ending


def _usage(request: AskedRequest, output: Items, cached: int) -> dict[str, Any]:
    """A simulated usage, from the bytes of the JSON."""
    read, written = count_tokens(request.prompt), count_tokens(dumps(output))
    kept = read // BLOCK_TOKENS * BLOCK_TOKENS if request.prompt_cache_key else cached
    thought = sum(count_tokens(dumps(item["summary"])) for item in output if "summary" in item)
    return {
        "input_tokens": read,
        "output_tokens": written,
        "total_tokens": read + written,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": kept - cached},
        "output_tokens_details": {"reasoning_tokens": thought},
    }
