"""The marked functions of a kernel as tools: for code in place, for the model as a step.

A tool is looked up by its name when it is called. A function that a step made is none, since
whoever makes one declares what it may do. Knows no server.
"""

import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from inspect import isawaitable
from types import SimpleNamespace
from typing import Any, cast
from weakref import WeakSet

from pydantic import BaseModel

from ...agent.frozen import frozen
from ...agent.printable import printable
from ...agent.protocol.actions import Touches
from ...agent.protocol.cells import CellRun
from ...agent.protocol.items import text_part
from ...agent.tools.mcp.tools import DirectTool, fits_request
from ...agent.tools.run_cell import RunCell
from ...agent.tools.schema import JsonSchema
from ...agent.tools.tool import AGENT_TOOLS, Tool, ToolCall, ToolOutput, text_output
from ..shell import Shell
from ..tools.step_runner import Watching
from ..user_names import user_names
from ..values.describe import brief
from .marked import MarkedTool, mark_of

MAX_FUNCTION_WORDS = 200
"""Most characters of a function's own words in its line for the model."""
RunStep = Callable[[ToolCall, RunCell, Mapping[str, object]], Awaitable[ToolOutput]]
"""Runs code as a step, with more names, and gives what the model reads of it."""


@frozen
class _Live:
    function: Callable[..., Any]
    mark: MarkedTool


class Functions:
    """The functions of one kernel that are tools.

    `_names`: of all that were there when the turn began. `_theirs`: these functions. `_of_steps`:
    those that steps made. `_unlike`: those that are known to give another kind of value than their
    hint says.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._names: tuple[str, ...] = ()
        self._theirs = WeakSet[Callable[..., Any]]()
        self._unlike = WeakSet[Callable[..., Any]]()
        self._of_steps = WeakSet[Callable[..., Any]]()

    def begin(self) -> None:
        """A turn begins: the functions that are there now are the person's."""
        names = self._shell.user_ns
        self._names = tuple(sorted(name for name, it in [*names.items()] if mark_of(it)))
        found = (self._marked(name) for name in self._names)
        self._theirs.update(it.function for it in found if it and it.function not in self._of_steps)

    def note_step(self, run: CellRun) -> None:
        """Note the functions that a step has made."""
        made = (self._marked(name) for name in run.bound)
        self._of_steps.update(it.function for it in made if it and it.function not in self._theirs)

    def rows(self, window: int | None) -> tuple[DirectTool, ...]:
        """The tools as the requests of a new session list them. None, if they need too much."""
        marks = [it.mark for _, it in self._all().items()]
        rows = tuple(
            DirectTool("", it.name, it.name, it.description, it.arguments.parameters())
            for it in marks
        )
        return rows if fits_request(rows, window) else ()

    def lines(self) -> dict[str, str]:
        """A line about each, for the model."""
        return {f"tool {name}": _line(it.mark) for name, it in self._all().items()}

    def for_code(self, within: Watching) -> tuple[Tool[Any], ...]:
        """All of them, for code of a step. `within`: the guard over the code of a call."""
        return tuple(self._for_code(it.mark, within) for it in self._all().values())

    def listed(self, rows: Iterable[DirectTool], run: RunStep) -> tuple[Tool[Any], ...]:
        """The tools that requests list. If a function is there no more, a call says so."""
        return tuple(self._listed(row, run) for row in rows if row.tool and not row.server)

    def _for_code(self, mark: MarkedTool, within: Watching) -> Tool[BaseModel]:
        async def run(call: ToolCall, arguments: BaseModel) -> ToolOutput:
            live = self._live(mark.name)
            if live is None:
                return _gone(mark.name)
            with within(call):
                try:
                    value = await self._called(live, arguments)
                except Exception as error:
                    return text_output(printable(_told(error)), "error")
            return ToolOutput((text_part(brief(value)),), value=value)

        return Tool(
            name=mark.name,
            description=mark.description,
            arguments=mark.arguments,
            run=run,
            touches=lambda _: _touches(mark),
            returns=mark.returns,
        )

    def _listed(self, row: DirectTool, run_step: RunStep) -> Tool[Any]:
        async def run(call: ToolCall, arguments: BaseModel) -> ToolOutput:
            live = self._live(row.tool)
            if live is None:
                return _gone(row.tool)

            async def function(**_named: object) -> object:
                return await self._called(live, arguments)

            given = arguments.model_dump(mode="json", exclude_unset=True)
            words = ", ".join(f"{name}={value!r}" for name, value in given.items())
            step = RunCell(
                title=row.tool, timeout=0, code=f"await {AGENT_TOOLS}.{row.tool}({words})"
            )
            return await run_step(
                call, step, {AGENT_TOOLS: SimpleNamespace(**{row.tool: function})}
            )

        live = self._live(row.tool)
        arguments = live.mark.arguments.as_listed(row.parameters) if live else None
        touches = _touches(live.mark) if live else Touches(effects=frozenset(("function",)))
        return Tool(
            name=row.name,
            description=row.description,
            arguments=arguments or JsonSchema(row.parameters),
            run=run,
            touches=lambda _: touches,
        )

    async def _called(self, live: _Live, arguments: BaseModel) -> object:
        """The value. The first of another kind than the hint says is named in the step."""
        named = {name: getattr(arguments, name) for name in type(arguments).model_fields}
        value = live.function(**named)
        value = await value if isawaitable(value) else value
        if live.function not in self._unlike and not live.mark.fits(value):
            self._unlike.add(live.function)
            kind, mark = type(value).__name__, live.mark
            told = f"[{mark.name} says that it gives {mark.returns}, and gave {kind}]\n"
            sys.stderr.write(printable(told))
        return value

    def _all(self) -> dict[str, _Live]:
        found = ((name, self._live(name)) for name in self._names)
        return {name: it for name, it in found if it}

    def _live(self, name: str) -> _Live | None:
        """The function of that name, if it is a tool of the person's."""
        found = self._marked(name)
        return found if found and found.function in self._theirs else None

    def _marked(self, name: str) -> _Live | None:
        names = self._shell.user_ns
        value = user_names(self._shell, {name: names[name]}).get(name) if name in names else None
        mark = mark_of(value)
        if mark is None or mark.name != name:
            return None
        return _Live(cast("Callable[..., Any]", value), mark)


def _touches(mark: MarkedTool) -> Touches:
    return Touches(effects=frozenset(("function", *mark.effects)))


def _gone(name: str) -> ToolOutput:
    return text_output(f"The person's function {name} is no longer there.", "error")


def _told(error: Exception) -> str:
    """The error, and the line of the function that it comes from."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    line = f" (line {traceback.tb_lineno})" if traceback is not None else ""
    return f"{type(error).__name__}: {error}{line}"


def _line(mark: MarkedTool) -> str:
    call = f"await {AGENT_TOOLS}.{mark.name}({mark.arguments.signature}) -> {mark.returns}"
    words = " ".join(mark.description.split())
    cut = words if len(words) <= MAX_FUNCTION_WORDS else f"{words[:MAX_FUNCTION_WORDS]}…"
    return printable(f"a function of the person's, for code: {call}. {cut}")
