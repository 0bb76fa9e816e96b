"""A request to the scripted model, and the script's response to it. Knows no network.

Only the conversation decides the position in the script, so equal requests have equal answers. The
ids of all items carry turn and response number (`msg_t0r1i0`: turn 0, response 1, item 0). A
compaction item carries those of all items that it replaces. Where an API gives no ids, the words
of the script tell the position.
"""

import base64
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json

from ..protocol.verbatim_json import dumps
from .script import Response, Script, ScriptedCall

_ID = re.compile(r"(?:^|[_-])(t(\d{1,6})r(\d{1,6})i\d{1,6}(?:n(\d{1,6}))?)$")
_CONTEXT = re.compile(r"\s*<(\w+)>\n.*?\n</\1>[ \t]*(?:\n\s*|\Z)", re.DOTALL)
_CALLS = ("function_call", "custom_tool_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_STAGES = {"reasoning": 0, "message": 1, **dict.fromkeys(_CALLS, 2), **dict.fromkeys(_OUTPUTS, 3)}
"""The order of a response's items. Outputs end it."""
_GOES_ON = "go on."
"""A client's words after a paused answer, where its API wants the user to speak last."""
_SHOWN = 300
"""Most characters of a tool's output in an error message."""

_PARAGRAPH = "\n\n"

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


def check_schemas(tools: object) -> None:
    """Refuse the first tool, in any API, whose schema has a `format`. Raises RequestError."""
    for at, tool in enumerate(cast("list[object]", tools) if isinstance(tools, list) else ()):
        if b'"format":' in dumps(tool):
            raise RequestError(f"Invalid 'tools[{at}]': its schema has a format.", "tools")


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


@dataclass(frozen=True, slots=True, order=True)
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
        turn, response = _turn_of(script, _last_said(request.input), played), 0
    _check_calls(request.input)
    _check(script, turn, response, request)
    return Position(turn, response, played.count(turn))


def _turn_of(script: Script, said: str, played: list[int]) -> int:
    """The turn that a user's words begin. The last of their paragraphs that names a turn counts.

    Some clients join neighbouring messages, such as one whose answer was refused with the next.
    """
    for words in (*reversed(said.split(_PARAGRAPH)), said):
        for turn, it in enumerate(script.turn):
            if it.on and it.on.casefold() in words:
                return turn
    return max(played, default=-1) + 1


def located(script: Script, items: Items) -> Items:
    """The items, where each of the assistant's has an id. Other APIs than Responses send none.

    An item is found by its words, from the conversation's place in the script. The next response is
    first, then those further on in the turn. At the beginning of a turn, others count as well.
    Words that the script does not have stay without an id. Words that only let a paused answer go
    on are left out.
    """
    found: Items = []
    turns: Played = []
    said, stage = "", -1
    for item in items:
        own = _stage(item)
        if turns and turns[-1] and _lets_go_on(script, turns[-1], item):
            continue
        if _is_said(item):
            turns.append(None)
            said, stage = _words(item), -1
        elif own is None or item["type"] in _OUTPUTS:
            stage = stage if own is None else own
        else:
            goes_on = stage < own or (item["type"] in _CALLS and stage == own)
            place = _place(item) or _find(item, _places(script, turns, said, goes_on))
            if place is not None:
                item = {**item, "id": item.get("id") or Position(*place).item_id("x", own)}
                turns, stage = [*turns[:-1], place], own
        found.append(item)
    return found


def _lets_go_on(script: Script, place: tuple[int, int], item: dict[str, Any]) -> bool:
    """True for the client's words after a response that paused, which begin no turn."""
    found = response_at(script, Position(*place).item_id("x", 0))
    paused = found is not None and found[1].fault.event == "pause"
    return paused and _is_said(item) and _words(item).strip() == _GOES_ON


def _stage(item: dict[str, Any]) -> int | None:
    """The place of an item in its response. None if the assistant did not make it."""
    if item.get("role") not in (None, "assistant"):
        return None
    return _STAGES.get(str(item.get("type")))


def _places(
    script: Script, turns: Played, said: str, goes_on: bool
) -> Iterator[tuple[tuple[int, int], Response]]:
    """The responses that may come now, the most likely first. `goes_on`: the latest may, too."""
    here = turns[-1] if turns else None
    turn = _turn_of(script, said, [it[0] for it in turns if it]) if here is None else here[0]
    first = 0 if here is None else here[1] + (not goes_on)
    others = [t for t in range(len(script.turn)) if t != turn] if here is None else []
    later_first = sorted(others, key=lambda t: (t < turn, t))
    for t in [turn, *later_first] if turn < len(script.turn) else later_first:
        for r, response in enumerate(script.turn[t].response):
            if t != turn or r >= first:
                yield (t, r), response


def _find(
    item: dict[str, Any], places: Iterable[tuple[tuple[int, int], Response]]
) -> tuple[int, int] | None:
    """The first place whose response has the item's words, or begins with them if it is next."""
    listed = list(places)
    for place, response in listed:
        if _has(response, item):
            return place
    begun = item["type"] == "message" and text_of(item.get("content")).strip()
    if begun and listed and (listed[0][1].say or "").startswith(begun):
        return listed[0][0]
    return None


def _has(response: Response, item: dict[str, Any]) -> bool:
    """True if the response has this item. White space at the ends does not count."""
    match item["type"]:
        case "message":
            words, text = response.say, text_of(item.get("content"))
        case "reasoning":
            words, text = response.reasoning, text_of(item.get("summary"))
        case _:
            return any(_is_call(call, item) for call in response.call)
    return words is not None and words.strip() == text.strip()


def _is_call(call: ScriptedCall, item: dict[str, Any]) -> bool:
    return call.name == item.get("name") and _parsed(call.arguments) == _parsed(
        item.get("arguments")
    )


def _parsed(arguments: object) -> object:
    try:
        return from_json(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments


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
        elif position := _place(item):
            turns = turns or [None]
            turns[-1] = max(turns[-1] or position, position)
    return turns


def _place(item: dict[str, Any]) -> tuple[int, int] | None:
    """Turn and response in an item's ids."""
    match = _ID.search(str(item.get("id"))) or _ID.search(str(item.get("call_id")))
    return (int(match[2]), int(match[3])) if match else None


def response_at(script: Script, item_id: str) -> tuple[Position, Response] | None:
    """The response whose item has this id. None if the script has none."""
    match = _ID.search(item_id)
    turn, response = (int(match[2]), int(match[3])) if match else (-1, -1)
    if match is None or turn >= len(script.turn) or response >= len(script.turn[turn].response):
        return None
    again = int(match[4] or 0)
    return Position(turn, response, again), script.turn[turn].response[response]


def _opened(sealed: object) -> Played:
    """The content that `seal` put in, or nothing when another server sealed it."""
    try:
        return _PLAYED.validate_json(base64.b64decode(str(sealed), validate=True))
    except ValueError:
        return []


def _last_said(items: Items) -> str:
    return next((_words(item) for item in reversed(items) if _is_said(item)), "")


def _words(item: dict[str, Any]) -> str:
    """The user's words in a message, each part a paragraph, for a comparison in any case."""
    content: object = item.get("content")
    parts = cast("list[object]", content) if isinstance(content, list) else [content]
    texts = (part if isinstance(part, str) else text_of([part]) for part in parts)
    return _without_context(_PARAGRAPH.join(filter(None, texts))).casefold()


def _is_said(item: dict[str, Any]) -> bool:
    """True for a message of the user. One that is a single element is context of the client."""
    return item.get("role") == "user" and not is_context(text_of(item.get("content")))


def is_context(text: str) -> bool:
    """True for a text of elements alone, and so no words of the user."""
    return bool(text) and not _without_context(text)


def _without_context(text: str) -> str:
    """The text without the elements at its beginning. Some clients join them with their words."""
    while found := _CONTEXT.match(text):
        text = text[found.end() :]
    return text


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
    if not outputs and is_compacted(request.input):
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
    if is_compacted(items):
        return
    calls = _call_ids(items, _CALLS, "call_id")
    outputs = _call_ids(items, _OUTPUTS, "call_id")
    for key in outputs.keys() - calls.keys() - _call_ids(items, ("item_reference",), "id").keys():
        message = f"No tool call found for function call output with call_id {outputs[key]}."
        raise RequestError(message, "input")
    for key in calls.keys() - outputs.keys():
        raise RequestError(f"No tool output found for function call {calls[key]}.", "input")


def is_compacted(items: Items) -> bool:
    """True if calls and outputs may be gone."""
    return any(item.get("type") == "compaction" for item in items)


def _call_ids(items: Iterable[dict[str, Any]], kinds: Container[Any], field: str) -> dict[str, str]:
    """Call ids by their last part, because deviations change the part before it."""
    own = [str(item.get(field)) for item in items if item.get("type") in kinds]
    return {match[1] if (match := _ID.search(one)) else one: one for one in own}
