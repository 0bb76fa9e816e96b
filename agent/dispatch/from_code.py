"""A session's tools as functions that code may await: `await agent_tools.inspect(names=["df"])`.

Each call passes the same policy and is in the same record as a call of the model's. Knows neither
how code runs nor where it finds `agent_tools`.
"""

import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ..config.settings import nearest
from ..permissions.judge import judge
from ..protocol.actions import Action, Verdict
from ..protocol.events import (
    ApprovalNeeded,
    Event,
    ToolCalled,
    ToolEnded,
    ToolStarted,
    VerdictGiven,
)
from ..session import Session
from ..tools.tool import Tool, ToolOutput, problems, text_output

AGENT_TOOLS = "agent_tools"

Show = Callable[[Event], object]


class ToolCallError(Exception):
    """A tool of `agent_tools` failed, or was not allowed; the text is what a model is told."""


def stubs(tools: tuple[Tool[Any], ...]) -> str:
    """How the tools are called from code, a line each."""
    return "\n".join(
        f"{AGENT_TOOLS}.{tool.name}({_signature(tool.arguments)}) -> str" for tool in tools
    )


@dataclass(slots=True)
class _Lender:
    """Runs the calls of one step. `over`: the step is; what it left behind may call no more."""

    session: Session
    call_id: str
    show: Show
    count: int = 0
    over: bool = False

    async def call(self, tool: Tool[Any], named: dict[str, Any]) -> str:
        """The text of the tool's output. Raises ToolCallError."""
        if self.over:
            raise ToolCallError("The step that these tools were lent to is over.")
        self.count += 1
        call_id, started = f"{self.call_id}.{self.count}", time.monotonic()
        output = await self._output(tool, call_id, named)
        seconds = time.monotonic() - started
        status, text = output.status, output.text
        line = {"call_id": call_id, "tool": tool.name, "arguments": named}
        self.session.record.append("lent_call", {**line, "status": status, "text": text})
        if tool.reads_only:
            self.show(ToolCalled(call_id=self.call_id, name=tool.name, status=status))
        else:
            self.show(ToolEnded(call_id=call_id, status=status, text=text, seconds=seconds))
        if status != "ok":
            raise ToolCallError(text)
        return text

    async def _output(self, tool: Tool[Any], call_id: str, named: dict[str, Any]) -> ToolOutput:
        try:
            arguments: BaseModel = tool.arguments.model_validate(named)
        except ValidationError as error:
            return text_output(
                f"The arguments of {tool.name} are wrong: {problems(error)}.", "error"
            )
        action = Action(
            call_id=call_id,
            tool=tool.name,
            arguments=arguments.model_dump(),
            reads_only=tool.reads_only,
        )
        verdict = await self._judged(action)
        if verdict.decision != "allow":
            return text_output(f"Not run: {verdict.reason}.", "denied")
        if not tool.reads_only:
            self.show(ToolStarted(call_id=call_id, name=tool.name, arguments=action.arguments))
        return await tool.run(call_id, arguments)

    async def _judged(self, action: Action) -> Verdict:
        verdict = judge(action, self.session.settings.policy)
        if verdict.decision == "ask":
            self.show(ApprovalNeeded(call_id=action.call_id, reason=verdict.reason))
            verdict = await self.session.approve(action, verdict)
        values = {"call_id": action.call_id, "tool": action.tool, **verdict.model_dump()}
        self.session.record.append("verdict", values)
        if not action.reads_only:
            self.show(VerdictGiven(call_id=action.call_id, verdict=verdict))
        return verdict


class _Call(Awaitable[str]):
    """A call that waits to be awaited, and says so where it is printed instead."""

    def __init__(self, lender: _Lender, tool: Tool[Any], named: dict[str, Any]) -> None:
        self._lender, self._tool, self._named = lender, tool, named

    def __await__(self) -> Generator[Any, None, str]:
        return self._lender.call(self._tool, self._named).__await__()

    def __repr__(self) -> str:
        return f"<not called yet: await {AGENT_TOOLS}.{self._tool.name}(…)>"


class AgentTools:
    """The tools lent to one step; each takes the arguments that its schema names, by name."""

    def __init__(self, lender: _Lender, tools: tuple[Tool[Any], ...]) -> None:
        self.__lender = lender
        self.__tools = {tool.name: tool for tool in tools}

    def __getattr__(self, name: str) -> Callable[..., _Call]:
        tool = self.__tools.get(name)
        if tool is None:
            near = nearest(name, list(self.__tools))
            raise AttributeError(f"There is no tool {name!r}.{near}")

        def call(**named: Any) -> _Call:
            return _Call(self.__lender, tool, named)

        call.__name__ = call.__qualname__ = name
        call.__doc__ = f"{AGENT_TOOLS}.{name}({_signature(tool.arguments)})\n\n{tool.description}"
        return call

    def __dir__(self) -> list[str]:
        return sorted(self.__tools)

    def __repr__(self) -> str:
        return stubs(tuple(self.__tools.values()))


def lend(
    session: Session, tools: tuple[Tool[Any], ...], call_id: str, show: Show
) -> tuple[AgentTools, Callable[[], None]]:
    """The tools for the step that `call_id` is, and what ends the loan."""
    lender = _Lender(session, call_id, show)

    def end() -> None:
        lender.over = True

    return AgentTools(lender, tools), end


def _signature(arguments: type[BaseModel]) -> str:
    return ", ".join(_parameters(arguments))


def _parameters(arguments: type[BaseModel]) -> Iterator[str]:
    for name, field in arguments.model_fields.items():
        default = field.get_default(call_default_factory=True)
        given = "" if field.is_required() else f" = {default!r}"
        yield f"{name}: {_type(field.annotation)}{given}"


def _type(annotation: Any) -> str:
    """The annotation as code has it; an object of fields is a dict."""
    if get_origin(annotation) is list:
        return f"list[{_type(get_args(annotation)[0])}]"
    if isinstance(annotation, type):
        return "dict" if issubclass(annotation, BaseModel) else annotation.__name__
    return str(annotation).replace("typing.", "")
