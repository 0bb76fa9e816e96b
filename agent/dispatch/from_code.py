"""A session's tools as functions that code may await: `await agent_tools.inspect(names=["df"])`.

Each call passes the same policy and goes into the same record as a call of the model. Knows neither
how code runs nor how it gets `agent_tools`.
"""

import re
from collections.abc import Awaitable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from ..config.settings import nearest
from ..protocol.events import ApprovalNeeded, ToolCalled
from ..protocol.record_lines import LentCallLine
from ..protocol.verbatim_json import dumps
from ..session import Session
from ..tools.schema import ArgumentsError
from ..tools.tool import (
    TEXT_ALONE,
    Tool,
    ToolCall,
    ToolOutput,
    text_output,
    wrong_arguments,
)
from .bounds import bounded
from .gate import GatedCall, JudgedCall, tool_ended

_COUNTED = frozenset(("look", "server", "function"))
"""Effects of calls that a step only counts, unless the person is asked."""
_NO_WORD = re.compile(r"\W")

T = TypeVar("T")


class ToolCallError(Exception):
    """A tool of `agent_tools` failed, or was not allowed. The text is the tool's output."""


def stubs(tools: Iterable[Tool[Any]]) -> str:
    """The signatures of the tools for code, a line each."""
    return "\n".join(map(_stub, tools))


def _stub(tool: Tool[Any]) -> str:
    return f"{tool.code_path}({tool.arguments.signature}) -> {tool.returns}"


@dataclass(slots=True)
class _Lender:
    """Runs the calls of one step. `over`: the step has ended, and code it left may call no more."""

    session: Session
    step: ToolCall
    count: int = 0
    over: bool = False

    async def call(self, tool: Tool[Any], named: dict[str, Any]) -> Any:
        """The value of the tool's output, or else its text. Raises ToolCallError."""
        if self.over:
            raise ToolCallError("The step that these tools belong to is over.")
        if refused := self.step.budget.refusal():
            raise ToolCallError(refused)
        self.count += 1
        call = replace(self.step, id=f"{self.step.id}.{self.count}", block=self.step.id)
        gated, shown = self._read(call, tool, named), False
        if isinstance(gated, ToolOutput):
            output = gated
        else:
            output, shown = await self._output(gated)
        self.step.budget.sent += len(output.text)
        line = LentCallLine(
            call_id=call.id,
            tool=tool.name,
            arguments={name: _recorded(value) for name, value in named.items()},
            status=output.status,
            text=output.text,
        )
        self.session.journal.write(line)
        if shown:
            call.show(tool_ended(call.id, bounded(output, self.session)))
        else:
            call.show(ToolCalled(call_id=self.step.id, name=tool.name, status=output.status))
        if output.status != "ok":
            raise ToolCallError(output.text)
        return output.text if output.value is TEXT_ALONE else output.value

    def _read(
        self, call: ToolCall, tool: Tool[Any], named: dict[str, Any]
    ) -> GatedCall | ToolOutput:
        try:
            arguments: BaseModel = tool.arguments.take(named)
        except ArgumentsError as error:
            return text_output(wrong_arguments(tool, error), "error")
        looks = tool.only_looks(arguments)
        return GatedCall(self.session, call, tool, arguments, looks)

    async def _output(self, gated: GatedCall) -> tuple[ToolOutput, bool]:
        """The output, and whether the call was shown by itself.

        Code may make a hundred calls of a server or a function. Such a one is shown if it is asked.
        """
        if not gated.only_looks and (refused := gated.call.budget.step_refusal()):
            return text_output(refused, "denied"), False
        shown = gated.tool.touches(gated.arguments).effects.isdisjoint(_COUNTED)
        output = None
        async for it in gated.admit():
            if isinstance(it, JudgedCall):
                output = await it.run()
                continue
            shown = shown or isinstance(it, ApprovalNeeded)
            if shown:
                gated.call.show(it)
        assert output is not None
        return output, shown


def _recorded(value: Any) -> Any:
    """An argument as the record has it. Code may give one that is no JSON, which no tool takes."""
    try:
        dumps(value)
    except (TypeError, ValueError):
        return f"<{type(value).__name__}>"
    return value


class _Call(Awaitable[Any]):
    """A call that runs when it is awaited. Printed, it says that it was not called."""

    def __init__(self, lender: _Lender, tool: Tool[Any], named: dict[str, Any]) -> None:
        self._lender, self._tool, self._named = lender, tool, named

    def __await__(self) -> Generator[Any, None, Any]:
        return self._lender.call(self._tool, self._named).__await__()

    def __repr__(self) -> str:
        return f"<not called yet: await {self._tool.code_path}(…)>"


def _by_name(tool: Tool[Any], given: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments by name. Raises ToolCallError for one without a name that has no place."""
    order = () if tool.server else tool.arguments.order
    if len(given) == 1 and isinstance(given[0], Mapping) and not order:
        return {**cast("Mapping[str, Any]", given[0]), **named}
    placed = dict(zip(order, given, strict=False))
    if len(given) > len(order) or not placed.keys().isdisjoint(named):
        how = f"{tool.code_path}({tool.arguments.signature})"
        raise ToolCallError(f"Give each argument once{'' if order else ', by its name'}: {how}.")
    return {**placed, **named}


class ToolNamespace:
    """Tools by name, as attributes or as items. Each takes the arguments of its schema, by name.

    Those that have an order need no name. Else a dict before them has arguments whose names are no
    identifiers.
    """

    def __init__(self, lender: _Lender, tools: Sequence[Tool[Any]], name: str = "") -> None:
        self.__lender, self.__name = lender, name
        self.__tools = {tool.local or tool.name: tool for tool in tools}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        tool = self.__tools.get(name) or _alone(self.__tools, name, self.__name)
        if tool is None:
            near = nearest(name, list(self.__tools))
            place = f" in {self.__name}" if self.__name else ""
            raise AttributeError(f"There is no tool {name!r}{place}.{near}")

        def call(*given: Any, **named: Any) -> _Call:
            return _Call(self.__lender, tool, _by_name(tool, given, named))

        call.__name__ = call.__qualname__ = tool.local or tool.name
        call.__doc__ = f"{_stub(tool)}\n\n{tool.description}"
        return call

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError as error:
            raise KeyError(str(error)) from None

    def __dir__(self) -> list[str]:
        return sorted(self.__tools)

    def __repr__(self) -> str:
        return stubs(self.__tools.values())


class AgentTools(ToolNamespace):
    """The tools of one step. Those of a server are in a namespace of its name."""

    def __init__(self, lender: _Lender, tools: Sequence[Tool[Any]]) -> None:
        super().__init__(lender, [tool for tool in tools if not tool.server])
        of_servers: dict[str, list[Tool[Any]]] = {}
        for tool in tools:
            if tool.server:
                of_servers.setdefault(tool.server, []).append(tool)
        self.__lender = lender
        self.__servers = {
            name: ToolNamespace(lender, found, name) for name, found in of_servers.items()
        }

    def __getattr__(self, name: str) -> Any:
        found = self.__servers.get(name) or _alone(self.__servers, name)
        return super().__getattr__(name) if found is None else found

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self.__servers])

    def __repr__(self) -> str:
        return "\n".join(filter(None, [super().__repr__(), *map(repr, self.__servers.values())]))


def _alone(named: Mapping[str, T], name: str, server: str = "") -> T | None:
    """The only one that is meant by `name`: `log` for `git_log` of git, `tool_x` for `tool-x`."""
    wanted = (name, f"{_identifier(server)}_{name}")
    found = [it for key, it in named.items() if _identifier(key) in wanted]
    return found[0] if len(found) == 1 else None


def _identifier(name: str) -> str:
    return _NO_WORD.sub("_", name)


@contextmanager
def lend(session: Session, tools: tuple[Tool[Any], ...], step: ToolCall) -> Generator[AgentTools]:
    """The tools for the code of a step, until the step ends."""
    lender = _Lender(session, step)
    try:
        yield AgentTools(lender, tools)
    finally:
        lender.over = True
