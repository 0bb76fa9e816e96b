"""The type of a tool, and how a call becomes an output. Knows no particular tool."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field, fields
from typing import Any, Generic, Literal, TypeVar, cast

from pydantic import BaseModel

from ..errors import AgentError
from ..frozen import frozen
from ..protocol.actions import Action, Effect, Touches, Verdict
from ..protocol.events import Event
from ..protocol.items import FunctionCall, OtherCall, text_part
from ..protocol.trials import Trial
from ..protocol.verbatim_json import dumps
from ..text.tokens import cut_middle
from .call_budget import CallBudget
from .schema import ArgumentSchema, ArgumentsError

A = TypeVar("A", bound=BaseModel)
Show = Callable[[Event], object]
"""Shows an event at once, while the code of a call runs."""

AGENT_TOOLS = "agent_tools"
"""The name under which code finds tools."""
TEXT_ALONE: object = object()
"""In place of a value: code gets the text."""
_SHOWN = 200
"""Most tokens of wrong arguments that are repeated to the model."""


@frozen
class ToolOutput:
    """A tool's output for the model: content parts (`input_text`, `input_image`) and a status.

    `run`: the handle of the cell run that it shows. `count`: its In [count]. `ends`: the error that
    ends the turn once the output is recorded. `seconds`: the time that the call itself took.
    `value`: what a call from code gives, if that is not the text. `loads`: the tools that a search
    makes known to the model, as its API has them.
    """

    parts: tuple[dict[str, str], ...]
    status: Literal["ok", "error", "denied", "interrupted"] = "ok"
    run: str | None = None
    count: int | None = None
    ends: AgentError | None = None
    seconds: float = 0.0
    value: object = TEXT_ALONE
    loads: tuple[Mapping[str, Any], ...] = ()

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
    `budget`: of the calls that its code makes. `block`: the step that shows its outputs, if that is
    another call.
    """

    id: str
    show: Show = show_nothing
    verdict: Verdict | None = None
    action: Action | None = None
    trial: Trial | None = None
    budget: CallBudget = field(default_factory=CallBudget)
    block: str = ""


def always(*effects: Effect, paths: tuple[str, ...] = ()) -> Callable[[BaseModel], Touches]:
    """The `touches` of a tool whose calls all have the same effects."""
    touches = Touches(effects=frozenset(effects), paths=paths)
    return lambda _arguments: touches


@frozen
class Tool(Generic[A]):
    """A name, the arguments it takes, a function.

    `run` and `touches` take the validated arguments. `touches` describes a call before it runs.
    `looked_up` does so where the description depends on the world, such as the sources of cells.
    `run` raises ChangedError if that has changed meanwhile. `server`: the namespace in which code
    finds it, under its name `local`. `returns`: the type of the value that code gets.
    `always_changes`: no call only looks, so none has to be described to know that.
    """

    name: str
    description: str
    arguments: ArgumentSchema[A]
    run: Callable[[ToolCall, A], Awaitable[ToolOutput]]
    touches: Callable[[A], Touches]
    looked_up: Callable[[A], Awaitable[Touches]] | None = None
    server: str = ""
    local: str = ""
    returns: str = "str"
    always_changes: bool = False

    def only_looks(self, arguments: A) -> bool:
        """Whether a call with these arguments changes nothing."""
        return not self.always_changes and self.touches(arguments).reads_only

    async def action(self, arguments: A) -> Action:
        """The action of a call with these arguments, for policy and person."""
        look_up = self.looked_up
        touches = await look_up(arguments) if look_up else self.touches(arguments)
        named = arguments.model_dump()
        described = {field.name: getattr(touches, field.name) for field in fields(Touches)}
        described["literal"] = touches.literal or _in_lines(named)
        return Action(tool=self.name, arguments=named, **described)

    @property
    def code_path(self) -> str:
        """The expression by which code finds the tool."""
        names = (self.server, self.local or self.name) if self.server else (self.name,)
        parts = (f".{it}" if it.isidentifier() else f"[{it!r}]" for it in names)
        return f"{AGENT_TOOLS}{''.join(parts)}"

    @property
    def schema(self) -> dict[str, Any]:
        """The tool as a request lists it. It has the same bytes every time."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": self.arguments.parameters(),
            "strict": False,
        }


def find_tool(tools: Sequence[Tool[Any]], name: str) -> Tool[Any] | None:
    """The tool called `name`."""
    return next((tool for tool in tools if tool.name == name), None)


def read_arguments(tool: Tool[A], call: FunctionCall | OtherCall) -> A | ToolOutput:
    """The call's arguments, or if they are wrong, the output that says so."""
    try:
        return tool.arguments.read(call.arguments)
    except ArgumentsError as error:
        given = cut_middle(call.arguments, _SHOWN)
        return text_output(f"{wrong_arguments(tool, error)} Given: {given}", "error")


def wrong_arguments(tool: Tool[Any], error: ArgumentsError) -> str:
    """A sentence on the arguments of a call of this tool."""
    return f"The arguments of {tool.name} are wrong: {error}."


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
