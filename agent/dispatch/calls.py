"""The tool calls of one response: judged, run and answered in order. Knows no model.

A call that only reads starts as soon as it is complete, beside others, unless a call before it
changes something. The others run one at a time, after the response is complete.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from ..config.settings import Settings, nearest
from ..conversation.history import OF_SERVERS, is_of_search, loaded_name
from ..errors import TurnInterrupted
from ..protocol.events import Event, ToolEnded
from ..protocol.items import TOOL_SEARCH, FunctionCall, OtherCall, output_of
from ..session import Session
from ..tools.call_budget import NO_STEPS, CallBudget
from ..tools.tool import Tool, ToolCall, ToolOutput, find_tool, read_arguments, text_output
from ..tools.tool_search import search_among
from .bounds import bounded
from .gate import GatedCall, JudgedCall, tool_ended

LENT_TO_MODEL = 4
"""So many times as many calls as the model may code of its steps make."""


@dataclass(slots=True)
class PendingCall:
    """One call on its way to an output. `gated` is None when there is nothing to run."""

    item: FunctionCall | OtherCall
    gated: GatedCall | None
    output: ToolOutput | None = None
    task: "asyncio.Task[ToolOutput] | None" = None

    @property
    def is_step(self) -> bool:
        """Whether it changes something."""
        return self.gated is not None and not self.gated.only_looks


def at_once(calls: Iterable[PendingCall]) -> Iterable[PendingCall]:
    """The calls that may run now, beside each other: all before the first that changes things."""
    return takewhile(lambda call: call.gated is None or call.gated.only_looks, calls)


def budget_of(settings: Settings, steps_left: int | None) -> CallBudget:
    """The budget of one response. `steps_left`: None for any number."""
    return CallBudget(steps_left, settings.response_calls * LENT_TO_MODEL)


@dataclass(slots=True)
class Calls:
    """The calls of one response, in the order the model made them.

    `budget`: how many may change something before a budget is used up, and how many code may make.
    """

    session: Session
    budget: CallBudget = field(default_factory=CallBudget)
    calls: list[PendingCall] = field(default_factory=list[PendingCall])

    async def add(self, item: FunctionCall | OtherCall) -> AsyncGenerator[Event]:
        """Take a complete call. Start it now, unless it or one before it changes something."""
        most = self.session.settings.response_calls
        if len(self.calls) < most:
            self.calls.append(_read(self.session, item, self.budget))
        else:
            text = f"Not run: {most} calls of one response are taken, and this is one more."
            self.calls.append(PendingCall(item, None, text_output(text, "denied")))
        async for event in _start(at_once(self.calls)):
            yield event

    async def answer(self) -> AsyncGenerator[Event]:
        """Run the calls that have not run yet. Commit every output, in call order.

        A call of another kind may have its output already, if the server runs such calls itself.
        Raises TurnInterrupted when a step was interrupted, and the error in `ends` of an output.
        """
        waiting = {call.call_id for call in self.session.conversation.history.open_calls}
        self.calls = [call for call in self.calls if call.item.call_id in waiting]
        for index, call in enumerate(self.calls):
            async for event in _start(at_once(self.calls[index:])):
                yield event
            if call.task is not None:
                call.output = await call.task
            elif call.is_step and not self.budget.takes_step():
                call.output = text_output(NO_STEPS, "denied")
            elif call.gated is not None:  # not in a task: live code may be interrupted
                async for it in call.gated.admit():
                    if isinstance(it, JudgedCall):
                        call.output = await it.run()
                    else:
                        yield it
            assert call.output is not None
            call.output = bounded(call.output, self.session)
            yield self._commit(call, call.output)
            if call.output.ends is not None:
                raise call.output.ends
            if call.output.status == "interrupted":
                raise TurnInterrupted("You interrupted a step.")

    def cancel(self) -> None:
        """Stop calls that still run."""
        for call in self.calls:
            if call.task is not None:
                call.task.cancel()

    def _commit(self, call: PendingCall, output: ToolOutput) -> ToolEnded:
        item = output_of(call.item, output.parts, output.loads)
        self.session.journal.commit(item, "output", output.run)
        return tool_ended(call.item.call_id, output)


async def _start(calls: Iterable[PendingCall]) -> AsyncGenerator[Event]:
    """Start the calls that were not started yet."""
    for call in calls:
        if call.gated is not None and call.task is None:
            async for it in call.gated.admit():
                if isinstance(it, JudgedCall):
                    call.task = asyncio.ensure_future(it.run())
                else:
                    yield it


def _read(session: Session, item: FunctionCall | OtherCall, budget: CallBudget) -> PendingCall:
    tool = _tool_of(session, item)
    if tool is None:
        return PendingCall(item, None, text_output(_missing(session, item), "error"))
    arguments = read_arguments(tool, item)
    if isinstance(arguments, ToolOutput):
        return PendingCall(item, None, arguments)
    call = ToolCall(item.call_id, session.seams.show, budget=budget)
    looks = tool.only_looks(arguments)
    return PendingCall(item, GatedCall(session, call, tool, arguments, looks))


def _tool_of(session: Session, item: FunctionCall | OtherCall) -> Tool[Any] | None:
    """The tool that a call means: one that a search has loaded, or one of the session."""
    if not isinstance(item, FunctionCall):
        return find_tool(session.tools, item.name)
    search = search_among(session.tools)
    if search and (loaded := search.loaded(item)):
        return loaded
    return None if is_of_search(item) else find_tool(session.tools, item.name)


def _missing(session: Session, item: FunctionCall | OtherCall) -> str:
    """A sentence on a call of a tool that there is not."""
    name = item.name or item.type
    if is_of_search(item) and isinstance(item, FunctionCall):
        name = loaded_name(item.namespace, name)
    if name.startswith(OF_SERVERS) and search_among(session.sent_tools):
        return f"{name} is not loaded. Load it with {TOOL_SEARCH}, and call it after that."
    names = [known.name for known in session.tools]
    return f"There is no tool {name!r}.{nearest(name, names)} There are: {', '.join(names)}."
