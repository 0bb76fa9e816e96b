"""A request to the scripted model, and the script's response to it. Knows no network.

Only the conversation decides the position in the script, so equal requests have equal answers. The
ids of all items carry turn and response number (`msg_t0r1i0`: turn 0, response 1, item 0). A
compaction item carries those of all items that it replaces.
"""

import base64
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json

from ..protocol.verbatim_json import dumps
from .script import Script

_ID = re.compile(r"(?:^|[_-])(t(\d{1,6})r(\d{1,6})i\d{1,6}(?:n\d{1,6})?)$")
_CONTEXT = re.compile(r"<(\w+)>\n.*\n</\1>", re.DOTALL)
_CALLS = ("function_call", "custom_tool_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_SHOWN = 300
"""Most characters of a tool's output in an error message."""

Items = list[dict[str, Any]]

Played = list[tuple[int, int] | None]
"""For each user message so far, the turn that answered it and its latest response."""

_PLAYED = TypeAdapter(Played)


class RequestError(Exception):
    """The request cannot be answered. `param`: the field at fault. `code`: the API's own."""

    def __init__(
        self, message: str, param: str | None = None, code: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


def _as_items(value: object) -> object:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


class AskedRequest(BaseModel):
    """The fields of a request. Fields that this server does not know are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    model: str
    input: Annotated[Items, BeforeValidator(_as_items)]
    stream: bool = False
    generate: bool = True
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
    context_management: list[dict[str, Any]] = []

    @cached_property
    def prompt(self) -> bytes:
        """The bytes a model would read. In a conversation, each begins with the one before it."""
        return dumps([self.instructions, self.tools, self.input])[:-2]


def read_fields(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, without its nulls. Raises RequestError when there is none.

    Like real servers, it does not read lone surrogates.
    """
    try:
        fields = from_json(body)
    except ValueError as error:
        raise RequestError(f"The body is not JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise RequestError("The body must be a JSON object.")
    given = cast("dict[str, Any]", fields)
    return {name: value for name, value in given.items() if value is not None}


def read_request(fields: dict[str, Any]) -> AskedRequest:
    """The request with these fields. Raises RequestError naming the field at fault."""
    if "previous_response_id" in fields:
        fields = {"input": [], **fields}
    try:
        return AskedRequest.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        param = str(first["loc"][0])
        raise RequestError(f"{param}: {first['msg']}.", param) from None


@dataclass(frozen=True, slots=True)
class Position:
    """A position in the script. `again`: how often the turn was played before."""

    turn: int
    response: int
    again: int = 0

    def item_id(self, kind: str, index: int) -> str:
        """The id of the response's item number `index`."""
        again = f"n{self.again}" if self.again else ""
        return f"{kind}_t{self.turn}r{self.response}i{index}{again}"


def find_position(script: Script, request: AskedRequest) -> Position:
    """The response that answers `request`. Raises RequestError when the script has none.

    Within a turn it is the next one. A new user message starts the first turn whose `on` it
    contains, else the turn after the latest one played.
    """
    *earlier, current = _played(request.input) or [None]
    played = [position[0] for position in earlier if position]
    if current:
        turn, response = current[0], current[1] + 1
    else:
        said = _last_said(request.input)
        named = (t for t, it in enumerate(script.turn) if it.on and it.on.casefold() in said)
        turn, response = next(named, max(played, default=-1) + 1), 0
    _check_calls(request.input)
    _check(script, turn, response, request)
    return Position(turn, response, played.count(turn))


def seal(items: Items) -> str:
    """The content of a compaction item for `items`, from which the position can be found."""
    return base64.b64encode(dumps(_played(items))).decode()


def text_of(content: object) -> str:
    """The text of a message's content or of a tool's output."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    parts = [
        cast("dict[str, Any]", x) for x in cast("list[object]", content) if isinstance(x, dict)
    ]
    return "".join(text for part in parts if isinstance(text := part.get("text"), str))


def _played(items: Items) -> Played:
    turns: Played = []
    for item in items:
        if _is_said(item):
            turns.append(None)
        elif item.get("type") == "compaction":
            turns = _opened(item.get("encrypted_content")) or turns
        elif match := _ID.search(str(item.get("id"))) or _ID.search(str(item.get("call_id"))):
            position = (int(match[2]), int(match[3]))
            turns = turns or [None]
            turns[-1] = max(turns[-1] or position, position)
    return turns


def _opened(sealed: object) -> Played:
    """The content that `seal` put in, or nothing when another server sealed it."""
    try:
        return _PLAYED.validate_json(base64.b64decode(str(sealed), validate=True))
    except ValueError:
        return []


def _last_said(items: Items) -> str:
    said = (item.get("content") for item in reversed(items) if _is_said(item))
    return text_of(next(said, None)).casefold()


def _is_said(item: dict[str, Any]) -> bool:
    """True for a message of the user. One that is a single element is context of the client."""
    return item.get("role") == "user" and not _CONTEXT.fullmatch(text_of(item.get("content")))


def _check(script: Script, turn: int, response: int, request: AskedRequest) -> None:
    held = len(script.turn[turn].response) if 0 <= turn < len(script.turn) else 0
    if not 0 <= response < held:
        has = f"turn {turn} has {held}" if held else f"it has {len(script.turn)} turn(s)"
        raise RequestError(
            f"the script has no response {response} for turn {turn}; {has}, counted from 0", "input"
        )
    expect = script.turn[turn].response[response].expect
    if expect is None:
        return
    outputs = [x.get("output") for x in request.input if x.get("type") in _OUTPUTS]
    if not outputs and _is_compacted(request.input):
        return
    came = text_of(outputs[-1]) if outputs else None
    if expect not in (came or ""):
        what = "no tool output came" if came is None else f"what came is: {came[:_SHOWN]}"
        raise RequestError(
            f"the script expects {expect!r} in the last tool output before response {response} "
            f"of turn {turn}; {what}",
            "input",
        )


def _check_calls(items: Items) -> None:
    """Check that each call has its output and each output its call, as the API demands."""
    if _is_compacted(items):
        return
    calls = _call_ids(items, _CALLS, "call_id")
    outputs = _call_ids(items, _OUTPUTS, "call_id")
    for key in outputs.keys() - calls.keys() - _call_ids(items, ("item_reference",), "id").keys():
        message = f"No tool call found for function call output with call_id {outputs[key]}."
        raise RequestError(message, "input")
    for key in calls.keys() - outputs.keys():
        raise RequestError(f"No tool output found for function call {calls[key]}.", "input")


def _is_compacted(items: Items) -> bool:
    """True if calls and outputs may be gone."""
    return any(item.get("type") == "compaction" for item in items)


def _call_ids(items: Iterable[dict[str, Any]], kinds: Container[Any], field: str) -> dict[str, str]:
    """Call ids by their last part, because deviations change the part before it."""
    own = [str(item.get(field)) for item in items if item.get("type") in kinds]
    return {match[1] if (match := _ID.search(one)) else one: one for one in own}
