"""The scripted model: from a request to the events of its response. Knows no network and no clock.

Which response plays is read off the request alone, so a request made twice has one answer: the ids
of all items carry turn and response number (`msg_t0r1i0`: turn 0, response 1, item 0). What is sent
is strict Open Responses 2026-04-24.
"""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from .items import dumps
from .script import NO_FAULT, Call, Fault, Response, Script

_ID = re.compile(r"(?:msg|fc|rs|call)_t(\d{1,6})r(\d{1,6})i\d")
_WORD = re.compile(r"\S+\s*|\s+")
_SHOWN = 300
"""Most characters of a tool's output in an error message."""
_BLOCK = 128
"""Tokens."""
_TOKEN = 4
"""Bytes."""
_NOT_ECHOED = ("input", "stream", "include")

Frame = tuple[str, dict[str, Any]]
"""An event's type, and its data."""


class RequestError(Exception):
    """The request cannot be answered. `param`: the field at fault; `code`: as the API names it."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


def _as_items(value: object) -> object:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


class Request(BaseModel):
    """What a request asks for; fields this server does not know are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    model: str
    input: Annotated[list[dict[str, Any]], BeforeValidator(_as_items)]
    stream: bool = False
    include: list[str] = []
    previous_response_id: str | None = None
    instructions: str | None = None
    tools: list[dict[str, Any]] = []
    tool_choice: str | dict[str, Any] = "auto"
    parallel_tool_calls: bool = True
    truncation: str = "disabled"
    text: dict[str, Any] = {}
    reasoning: dict[str, Any] | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    top_logprobs: int = 0
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    store: bool = True
    metadata: dict[str, str] = {}
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None

    @property
    def prompt(self) -> bytes:
        """What the model would read; longer requests of a conversation begin with shorter ones."""
        return dumps([self.instructions, self.tools, self.input])[:-2]


def read_request(body: bytes) -> Request:
    """The request in `body`. Raises RequestError for anything that is not one."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The body is not JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise RequestError("The body must be a JSON object.")
    given = cast("dict[str, Any]", fields)
    try:
        request = Request.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        param = str(first["loc"][0])
        raise RequestError(f"{param}: {first['msg']}.", param) from None
    if request.previous_response_id is not None:
        raise RequestError(
            f"Previous response with id '{request.previous_response_id}' not found: none are kept "
            "here, send the whole input.",
            "previous_response_id",
            "previous_response_not_found",
        )
    return request


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the script a request stands. `again`: how often the turn was played before."""

    turn: int
    response: int
    again: int = 0

    def item_id(self, kind: str, index: int) -> str:
        """The id of the response's item number `index`."""
        again = f"n{self.again}" if self.again else ""
        return f"{kind}_t{self.turn}r{self.response}i{index}{again}"


def find_position(script: Script, request: Request) -> Position:
    """Which response answers `request`. Raises RequestError when the script has none.

    Within a turn the next one. After a new user message the first turn whose `on` it contains, else
    the turn after the latest one played.
    """
    turns: list[tuple[int, int] | None] = []
    said = ""
    for item in request.input:
        if item.get("role") == "user":
            turns.append(None)
            said = _text(item.get("content")).casefold()
        elif match := _ID.match(str(item.get("id"))) or _ID.match(str(item.get("call_id"))):
            position = (int(match[1]), int(match[2]))
            turns = turns or [None]
            turns[-1] = max(turns[-1] or position, position)
    *earlier, current = turns or [None]
    played = [position[0] for position in earlier if position]
    if current:
        turn, response = current[0], current[1] + 1
    else:
        named = (t for t, it in enumerate(script.turn) if it.on and it.on.casefold() in said)
        turn, response = next(named, max(played, default=-1) + 1), 0
    _check(script, turn, response, request)
    return Position(turn, response, played.count(turn))


def _check(script: Script, turn: int, response: int, request: Request) -> None:
    held = len(script.turn[turn].response) if turn < len(script.turn) else 0
    if response >= held:
        has = f"turn {turn} has {held}" if held else f"it has {len(script.turn)} turn(s)"
        raise RequestError(
            f"the script has no response {response} for turn {turn}; {has}, counted from 0", "input"
        )
    expect = script.turn[turn].response[response].expect
    outputs = [x.get("output") for x in request.input if x.get("type") == "function_call_output"]
    came = _text(outputs[-1]) if outputs else None
    if expect is not None and expect not in (came or ""):
        what = "no tool output came" if came is None else f"what came is: {came[:_SHOWN]}"
        raise RequestError(
            f"the script expects {expect!r} in the last tool output before response {response} "
            f"of turn {turn}; {what}",
            "input",
        )


def _text(content: object) -> str:
    """The text of a message's content or of a tool's output."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    parts = [
        cast("dict[str, Any]", x) for x in cast("list[object]", content) if isinstance(x, dict)
    ]
    return "".join(text for part in parts if isinstance(text := part.get("text"), str))


def cached_tokens(prompt: bytes, earlier: bytes) -> int:
    """How much of `prompt` a cache that read `earlier` knows, in whole blocks."""
    size = _BLOCK * _TOKEN
    starts = range(0, len(prompt) - size + 1, size)
    same = takewhile(lambda at: prompt[at : at + size] == earlier[at : at + size], starts)
    return _BLOCK * sum(1 for _ in same)


def frames(
    script: Script,
    position: Position,
    request: Request,
    created_at: int,
    cached: int = 0,
    fault: Fault = NO_FAULT,
) -> Iterator[Frame]:
    """The events of one response, each with its type: strict Open Responses, always the same.

    `created_at`: seconds since 1970. `cached`: input tokens counted as cached. `fault`: its `event`
    and `after` shape the end.
    """
    started = _resource(script, position, request, created_at)
    events: list[Frame] = [
        ("response.created", {"response": started}),
        ("response.in_progress", {"response": started}),
    ]
    items = _items(script.turn[position.turn].response[position.response], position, request)
    if fault.event == "incomplete" and items and "status" in items[-1]:
        items[-1]["status"] = "incomplete"
    for index, item in enumerate(items):
        events += _item_events(index, item)
    if fault.event:
        events = events[: fault.after]
    output = [data["item"] for kind, data in events if kind == "response.output_item.done"]
    ended = {**started, "output": output, "usage": _usage(request, output, cached)}
    for number, (kind, data) in enumerate(events + _ending(ended, fault)):
        yield kind, {"type": kind, "sequence_number": number, **data}


def _resource(
    script: Script, position: Position, request: Request, created_at: int
) -> dict[str, Any]:
    tool = {"description": None, "parameters": None, "strict": None}
    return {
        "id": position.item_id("resp", 0),
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


def _items(response: Response, position: Position, request: Request) -> list[dict[str, Any]]:
    """The response's output, whole."""
    items: list[dict[str, Any]] = []
    if response.reasoning is not None:
        items.append(_reasoning(response.reasoning, position, request))
    if response.say is not None:
        phase = "commentary" if response.call else "final_answer"
        items.append(_message(response.say, phase, position.item_id("msg", len(items))))
    calls = enumerate(response.call, len(items))
    return items + [_call(call, position, index) for index, call in calls]


def _reasoning(text: str, position: Position, request: Request) -> dict[str, Any]:
    sealed = base64.b64encode(f"{position} {text}".encode()).decode()
    return {
        "type": "reasoning",
        "id": position.item_id("rs", 0),
        "summary": [{"type": "summary_text", "text": text}],
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


def _call(call: Call, position: Position, index: int) -> dict[str, Any]:
    given = call.arguments
    return {
        "type": "function_call",
        "id": position.item_id("fc", index),
        "status": "completed",
        "call_id": position.item_id("call", index),
        "name": call.name,
        "arguments": given if isinstance(given, str) else json.dumps(given, ensure_ascii=False),
    }


def _item_events(index: int, item: dict[str, Any]) -> Iterator[Frame]:
    where = {"item_id": item["id"], "output_index": index}
    blank: dict[str, Any]
    match item["type"]:
        case "message":
            blank = {"status": "in_progress", "content": []}
            inner = _message_events(where, item["content"][0])
        case "reasoning":
            blank = {"summary": [], "encrypted_content": None}
            inner = _summary_events(where, item["summary"][0])
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


def _summary_events(where: dict[str, Any], part: dict[str, Any]) -> Iterator[Frame]:
    at = {**where, "summary_index": 0}
    yield "response.reasoning_summary_part.added", {**at, "part": {**part, "text": ""}}
    yield from _text_events("reasoning_summary_text", at, "text", part["text"])
    yield "response.reasoning_summary_part.done", {**at, "part": part}


def _text_events(kind: str, where: dict[str, Any], key: str, text: str) -> Iterator[Frame]:
    for word in _WORD.findall(text):
        yield f"response.{kind}.delta", {**where, "delta": word}
    yield f"response.{kind}.done", {**where, key: text}


def _ending(response: dict[str, Any], fault: Fault) -> list[Frame]:
    if fault.event is None:
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


def _usage(request: Request, output: list[dict[str, Any]], cached: int) -> dict[str, Any]:
    """Simulated, from the bytes of the JSON."""
    read = len(request.prompt) // _TOKEN
    written = len(dumps(output)) // _TOKEN
    thought = sum(len(dumps(item["summary"])) for item in output if "summary" in item) // _TOKEN
    return {
        "input_tokens": read,
        "output_tokens": written,
        "total_tokens": read + written,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens_details": {"reasoning_tokens": thought},
    }
