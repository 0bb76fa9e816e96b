"""A session's tools as functions that code may await: `await agent_tools.inspect(names=["df"])`.

Each call passes the same policy and goes into the same record as a call of the model. Knows neither
how code runs nor how it gets `agent_tools`.
"""

from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ..config.settings import nearest
from ..protocol.events import ToolCalled
from ..protocol.record_lines import LentCallLine
from ..session import Session
from ..tools.tool import Tool, ToolCall, ToolOutput, problems, text_output
from .gate import GatedCall, JudgedCall, tool_ended

AGENT_TOOLS = "agent_tools"


class ToolCallError(Exception):
    """A tool of `agent_tools` failed, or was not allowed. The text is the tool's output."""


def stubs(tools: tuple[Tool[Any], ...]) -> str:
    """The signatures of the tools for code, a line each."""
    return "\n".join(
        f"{AGENT_TOOLS}.{tool.name}({_signature(tool.arguments)}) -> str" for tool in tools
    )


@dataclass(slots=True)
class _Lender:
    """Runs the calls of one step. `over`: the step has ended, and code it left may call no more."""

    session: Session
    step: ToolCall
    count: int = 0
    over: bool = False

    async def call(self, tool: Tool[Any], named: dict[str, Any]) -> str:
        """The text of the tool's output. Raises ToolCallError."""
        if self.over:
            raise ToolCallError("The step that these tools belong to is over.")
        if refused := self.step.budget.refusal():
            raise ToolCallError(refused)
        self.count += 1
        call = replace(self.step, id=f"{self.step.id}.{self.count}")
        gated = self._read(call, tool, named)
        output = gated if isinstance(gated, ToolOutput) else await self._output(gated)
        self.step.budget.sent += len(output.text)
        line = LentCallLine(
            call_id=call.id,
            tool=tool.name,
            arguments=named,
            status=output.status,
            text=output.text,
        )
        self.session.journal.write(line)
        if isinstance(gated, ToolOutput) or gated.only_looks:
            call.show(ToolCalled(call_id=self.step.id, name=tool.name, status=output.status))
        else:
            call.show(tool_ended(call.id, output))
        if output.status != "ok":
            raise ToolCallError(output.text)
        return output.text

    def _read(
        self, call: ToolCall, tool: Tool[Any], named: dict[str, Any]
    ) -> GatedCall | ToolOutput:
        try:
            arguments: BaseModel = tool.arguments.model_validate(named)
        except ValidationError as error:
            return text_output(
                f"The arguments of {tool.name} are wrong: {problems(error)}.", "error"
            )
        looks = tool.touches(arguments).reads_only
        return GatedCall(self.session, call, tool, arguments, looks)

    async def _output(self, gated: GatedCall) -> ToolOutput:
        if not gated.only_looks and (refused := gated.call.budget.step_refusal()):
            return text_output(refused, "denied")
        output = None
        async for it in gated.admit():
            if isinstance(it, JudgedCall):
                output = await it.run()
            elif not gated.only_looks:
                gated.call.show(it)
        assert output is not None
        return output


class _Call(Awaitable[str]):
    """A call that runs when it is awaited. Printed, it says that it was not called."""

    def __init__(self, lender: _Lender, tool: Tool[Any], named: dict[str, Any]) -> None:
        self._lender, self._tool, self._named = lender, tool, named

    def __await__(self) -> Generator[Any, None, str]:
        return self._lender.call(self._tool, self._named).__await__()

    def __repr__(self) -> str:
        return f"<not called yet: await {AGENT_TOOLS}.{self._tool.name}(…)>"


class AgentTools:
    """The tools of one step. Each takes the arguments of its schema, by name."""

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


@contextmanager
def lend(session: Session, tools: tuple[Tool[Any], ...], step: ToolCall) -> Generator[AgentTools]:
    """The tools for the code of a step, until the step ends."""
    lender = _Lender(session, step)
    try:
        yield AgentTools(lender, tools)
    finally:
        lender.over = True


def _signature(arguments: type[BaseModel]) -> str:
    return ", ".join(_parameters(arguments))


def _parameters(arguments: type[BaseModel]) -> Iterator[str]:
    for name, field in arguments.model_fields.items():
        default = field.get_default(call_default_factory=True)
        given = "" if field.is_required() else f" = {default!r}"
        yield f"{name}: {_type(field.annotation)}{given}"


def _type(annotation: Any) -> str:
    """The annotation as code writes it. A model of fields is a dict."""
    if get_origin(annotation) is list:
        return f"list[{_type(get_args(annotation)[0])}]"
    if isinstance(annotation, type):
        return "dict" if issubclass(annotation, BaseModel) else annotation.__name__
    return str(annotation).replace("typing.", "")
