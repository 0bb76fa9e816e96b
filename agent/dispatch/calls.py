"""The tool calls of one response: judged, run and answered in order. Knows no model.

A call that only reads starts as soon as it is complete, beside others, unless a call before it
changes something. The others run one at a time, after the response is complete.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from itertools import takewhile

from ..config.settings import nearest
from ..errors import TurnInterrupted
from ..protocol.events import Event, ToolEnded
from ..protocol.items import FunctionCall, OtherCall, output_of
from ..session import Session
from ..tools.tool import ToolCall, ToolOutput, find_tool, read_arguments, text_output
from .gate import GatedCall, JudgedCall, tool_ended

NO_STEPS = "Not run: the budget of steps is used up."


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


@dataclass(slots=True)
class Calls:
    """The calls of one response, in the order the model made them.

    `steps_left`: how many may change something before a budget is used up. None: any number.
    """

    session: Session
    steps_left: int | None = None
    calls: list[PendingCall] = field(default_factory=list[PendingCall])

    async def add(self, item: FunctionCall | OtherCall) -> AsyncGenerator[Event]:
        """Take a complete call. Start it now, unless it or one before it changes something."""
        most = self.session.settings.response_calls
        if len(self.calls) < most:
            self.calls.append(_read(self.session, item))
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
            elif not self._takes(call):
                call.output = text_output(NO_STEPS, "denied")
            elif call.gated is not None:  # not in a task: live code may be interrupted
                async for it in call.gated.admit():
                    if isinstance(it, JudgedCall):
                        call.output = await it.run()
                    else:
                        yield it
            assert call.output is not None
            yield self._commit(call, call.output)
            if call.output.ends is not None:
                raise call.output.ends
            if call.output.status == "interrupted":
                raise TurnInterrupted("You interrupted a step.")

    def _takes(self, call: PendingCall) -> bool:
        """Whether the budget of steps has room for a call. Counts it."""
        if self.steps_left is None or not call.is_step:
            return True
        self.steps_left -= 1
        return self.steps_left >= 0

    def cancel(self) -> None:
        """Stop calls that still run."""
        for call in self.calls:
            if call.task is not None:
                call.task.cancel()

    def _commit(self, call: PendingCall, output: ToolOutput) -> ToolEnded:
        self.session.journal.commit(output_of(call.item, output.parts), "output", output.run)
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


def _read(session: Session, item: FunctionCall | OtherCall) -> PendingCall:
    tool = find_tool(session.tools, item.name)
    if tool is None:
        names = [known.name for known in session.tools]
        name = item.name or item.type
        text = f"There is no tool {name!r}.{nearest(name, names)}"
        return PendingCall(
            item, None, text_output(f"{text} There are: {', '.join(names)}.", "error")
        )
    arguments = read_arguments(tool, item)
    if isinstance(arguments, ToolOutput):
        return PendingCall(item, None, arguments)
    call = ToolCall(item.call_id, session.seams.show)
    looks = tool.touches(arguments).reads_only
    return PendingCall(item, GatedCall(session, call, tool, arguments, looks))
