"""The type of a tool, and how a call becomes an output. Knows no particular tool."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import field, fields
from functools import cache
from typing import Any, Generic, Literal, TypeVar, cast

from pydantic import BaseModel, ValidationError

from ..errors import AgentError
from ..frozen import frozen
from ..protocol.actions import Action, Effect, Touches, Verdict
from ..protocol.events import Event
from ..protocol.items import FunctionCall, OtherCall, arguments_of, text_part
from ..protocol.trials import Trial
from ..protocol.verbatim_json import dumps
from ..text.tokens import cut_middle
from .call_budget import CallBudget

A = TypeVar("A", bound=BaseModel)
Show = Callable[[Event], object]
"""Shows an event at once, while the code of a call runs."""

_SHOWN = 200
"""Most tokens of wrong arguments that are repeated to the model."""

_UNSAID = frozenset(
    ("title", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
)
"""Keys of a schema that a request leaves out: pydantic's titles, and bounds."""

_BLANK = ("", "null", "none")
"""Texts that models write for a default."""


@frozen
class ToolOutput:
    """A tool's output for the model: content parts (`input_text`, `input_image`) and a status.

    `run`: the handle of the cell run that it shows. `count`: its In [count]. `ends`: the error that
    ends the turn once the output is recorded. `seconds`: the time that the call itself took.
    """

    parts: tuple[dict[str, str], ...]
    status: Literal["ok", "error", "denied", "interrupted"] = "ok"
    run: str | None = None
    count: int | None = None
    ends: AgentError | None = None
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """The text, with a placeholder for each image."""
        return "\n".join(part.get("text", "[image]") for part in self.parts)


def text_output(
    text: str, status: Literal["ok", "error", "denied", "interrupted"] = "ok"
) -> ToolOutput:
    """An output of text alone."""
    return ToolOutput((text_part(text),), status)


def show_nothing(_event: Event) -> None:
    """A `Show` for calls that nobody watches."""


class ChangedError(Exception):
    """The call would now do something else than its verdict allows. It needs another verdict."""


@frozen
class ToolCall:
    """A call as its tool sees it: its id, and a function that shows events while it runs.

    `verdict`, `action`: what was allowed. None before that. `trial`: its trial run, if it had one.
    `budget`: of the calls that its code makes.
    """

    id: str
    show: Show = show_nothing
    verdict: Verdict | None = None
    action: Action | None = None
    trial: Trial | None = None
    budget: CallBudget = field(default_factory=CallBudget)


def always(*effects: Effect, paths: tuple[str, ...] = ()) -> Callable[[BaseModel], Touches]:
    """The `touches` of a tool whose calls all have the same effects."""
    touches = Touches(effects=frozenset(effects), paths=paths)
    return lambda _arguments: touches


@frozen
class Tool(Generic[A]):
    """A name, a schema (a pydantic model whose fields the model reads), a function.

    `run` and `touches` take the validated arguments. `touches` describes a call before it runs.
    `looked_up` does so where the description depends on the world, such as the sources of cells.
    `run` raises ChangedError if that has changed meanwhile.
    """

    name: str
    description: str
    arguments: type[A]
    run: Callable[[ToolCall, A], Awaitable[ToolOutput]]
    touches: Callable[[A], Touches]
    looked_up: Callable[[A], Awaitable[Touches]] | None = None

    async def action(self, arguments: A) -> Action:
        """The action of a call with these arguments, for policy and person."""
        look_up = self.looked_up
        touches = await look_up(arguments) if look_up else self.touches(arguments)
        named = arguments.model_dump()
        described = {field.name: getattr(touches, field.name) for field in fields(Touches)}
        described["literal"] = touches.literal or _in_lines(named)
        return Action(tool=self.name, arguments=named, **described)

    @property
    def schema(self) -> dict[str, Any]:
        """The tool as a request lists it. It has the same bytes every time."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": _parameters(self.arguments),
            "strict": False,
        }


def find_tool(tools: Sequence[Tool[Any]], name: str) -> Tool[Any] | None:
    """The tool called `name`."""
    return next((tool for tool in tools if tool.name == name), None)


def read_arguments(tool: Tool[A], call: FunctionCall | OtherCall) -> A | ToolOutput:
    """The call's validated arguments, or if they are wrong, the output that says so.

    Harmless mistakes are mended: another form of JSON, or a blank in place of a default.
    """
    text = call.arguments
    try:
        return tool.arguments.model_validate_json(text or "{}")
    except ValidationError as error:
        wrong = error
    if (values := arguments_of(text)) is not None:
        for _ in range(2):
            try:
                return tool.arguments.model_validate_json(dumps(values))
            except ValidationError as error:
                wrong = error
                _drop_blanks(values, error)
    given = cut_middle(text, _SHOWN)
    told = f"The arguments of {tool.name} are wrong: {problems(wrong)}."
    return text_output(f"{told} Given: {given}", "error")


def _drop_blanks(values: dict[str, Any], error: ValidationError) -> None:
    """Drop what is null or blank where something else belongs. The default takes its place."""
    for found in error.errors():
        blank = found["input"]
        if blank is None or (isinstance(blank, str) and blank.strip().lower() in _BLANK):
            *path, last = found["loc"] or ("",)
            inner: Any = values
            for key in path:
                with suppress(LookupError, TypeError):  # the tag of a union is no key
                    inner = inner[key]
            if isinstance(inner, dict):
                cast("dict[Any, Any]", inner).pop(last, None)


def problems(error: ValidationError) -> str:
    """The errors in arguments, in words."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors()
    )


def _in_lines(value: Any, indent: str = "") -> str:
    """The arguments of a call as a person reads them. A text of several lines has its own lines."""
    match value:
        case dict():
            named = cast("dict[str, Any]", value)
            return "\n".join(
                f"{indent}{name}: {_in_lines(it, indent + '  ').lstrip(' ')}"
                for name, it in named.items()
            )
        case list() | tuple():
            entries = cast("Sequence[Any]", value)
            return "".join(f"\n{indent}- {_in_lines(it, indent + '  ').lstrip()}" for it in entries)
        case str():
            text = value.replace("\n", f"\n{indent}")
            return f"\n{indent}{text}" if "\n" in value else value
        case _:
            return dumps(value).decode()


@cache
def _parameters(arguments: type[BaseModel]) -> dict[str, Any]:
    """The schema, cached: pydantic takes half a millisecond, and each turn lists all tools."""
    schema = _lean(arguments.model_json_schema())
    return {key: value for key, value in schema.items() if key != "description"}


def _lean(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without parts that cost tokens and do not change how a call is read.

    Bounds are checked when a call is read, and the error names them. A field that may be left out
    needs neither `null` nor a blank default.
    """
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    if kinds:
        kind = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        schema = {key: schema[key] for key in schema if key != "anyOf"} | kind
    blank = {key for key in schema if key == "default" and not schema[key]}
    return {key: _lean_part(key, schema[key]) for key in schema if key not in _UNSAID | blank}


def _lean_part(key: str, value: Any) -> Any:
    """The value of a schema's key. Some hold schemas."""
    match key:
        case "properties" | "$defs":
            return {name: _lean(schema) for name, schema in value.items()}
        case "items":
            return _lean(value)
        case "anyOf":
            return [_lean(schema) for schema in value]
        case _:
            return value
