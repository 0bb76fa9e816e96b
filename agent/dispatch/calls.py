"""The tool calls of one response: judged, run and answered in order. Knows no model.

A call that only reads starts as soon as it is complete, beside others, unless one that changes
things stands before it. The rest runs one at a time, when the response is complete.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from ..config.settings import nearest
from ..errors import TurnInterrupted
from ..permissions.judge import judge
from ..protocol.actions import Action, Verdict
from ..protocol.events import ApprovalNeeded, Event, ToolEnded, ToolStarted, VerdictGiven
from ..protocol.items import FunctionCall, call_output
from ..session import Session
from ..tools.tool import Tool, ToolOutput, find_tool, read_arguments, text_output


@dataclass(slots=True)
class PendingCall:
    """One call on its way to an output. `tool` is None when there is none of that name."""

    item: FunctionCall
    tool: Tool[Any] | None
    arguments: BaseModel | None = None
    output: ToolOutput | None = None
    task: "asyncio.Task[ToolOutput] | None" = None
    started: float | None = None

    @property
    def reads(self) -> bool:
        """It changes nothing."""
        return self.tool is None or self.tool.reads_only

    @property
    def action(self) -> Action:
        """What it would do, for policy and person."""
        return Action(
            call_id=self.item.call_id,
            tool=self.item.name,
            arguments=self.arguments.model_dump() if self.arguments else {},
            reads_only=self.reads,
        )

    async def run(self) -> ToolOutput:
        """Do it."""
        assert self.tool is not None
        return await self.tool.run(self.item.call_id, self.arguments)


@dataclass(slots=True)
class Calls:
    """The calls of one response, in the order the model made them."""

    session: Session
    calls: list[PendingCall] = field(default_factory=list[PendingCall])

    def add(self, item: FunctionCall) -> Iterator[Event]:
        """Take a call that is complete; start it now when nothing before it changes anything."""
        self.calls.append(_read(self.session, item))
        if all(call.reads for call in self.calls):
            yield from self._start_reading(self.calls[-1])

    async def answer(self) -> AsyncGenerator[Event]:
        """Run what has not run yet; commit every output, in call order.

        Raises TurnInterrupted when a step was interrupted: the person wants no more; and whatever
        an output says the turn ends with.
        """
        for index, call in enumerate(self.calls):
            if call.output is None and call.reads:
                for event in self._start_reading_from(index):
                    yield event
                assert call.task is not None
                call.output = await call.task
            elif call.output is None:
                async for event in self._run_alone(call):
                    yield event
            assert call.output is not None
            yield self._commit(call, call.output)
            if call.output.ends is not None:
                raise call.output.ends
            if call.output.status == "interrupted":
                raise TurnInterrupted(
                    "You interrupted a step.", "The next %%agent goes on from here."
                )

    def cancel(self) -> None:
        """Stop what still runs."""
        for call in self.calls:
            if call.task is not None:
                call.task.cancel()

    def _start_reading(self, call: PendingCall) -> Iterator[Event]:
        if call.output is None and call.task is None:
            yield self._judged(call, judge(call.action, self.session.settings.policy))
            yield _started(call)
            call.task = asyncio.ensure_future(call.run())

    def _start_reading_from(self, index: int) -> Iterator[Event]:
        for call in self.calls[index:]:
            if not call.reads:
                return
            yield from self._start_reading(call)

    async def _run_alone(self, call: PendingCall) -> AsyncGenerator[Event]:
        """Judge, perhaps ask, run here and now (not in a task: live code may be interrupted)."""
        verdict = judge(call.action, self.session.settings.policy)
        if verdict.decision == "ask":
            yield ApprovalNeeded(call_id=call.item.call_id, reason=verdict.reason)
            verdict = await self.session.approve(call.action, verdict)
        yield self._judged(call, verdict)
        if verdict.decision == "allow":
            yield _started(call)
            call.output = await call.run()
        else:
            call.output = text_output(f"Not run: {verdict.reason}.", "denied")

    def _judged(self, call: PendingCall, verdict: Verdict) -> VerdictGiven:
        call_id = call.item.call_id
        values = {"call_id": call_id, "tool": call.item.name, **verdict.model_dump()}
        self.session.record.append("verdict", values)
        return VerdictGiven(call_id=call_id, verdict=verdict)

    def _commit(self, call: PendingCall, output: ToolOutput) -> ToolEnded:
        self.session.commit(call_output(call.item.call_id, output.parts), run=output.run)
        seconds = time.monotonic() - call.started if call.started is not None else 0.0
        return ToolEnded(
            call_id=call.item.call_id,
            status=output.status,
            text=output.text,
            seconds=seconds,
            count=output.count,
        )


def _read(session: Session, item: FunctionCall) -> PendingCall:
    tool = find_tool(session.tools, item.name)
    if tool is None:
        names = [known.name for known in session.tools]
        text = f"There is no tool {item.name!r}.{nearest(item.name, names)}"
        return PendingCall(
            item, None, output=text_output(f"{text} There are: {', '.join(names)}.", "error")
        )
    arguments = read_arguments(tool, item)
    if isinstance(arguments, ToolOutput):
        return PendingCall(item, tool, output=arguments)
    return PendingCall(item, tool, arguments)


def _started(call: PendingCall) -> ToolStarted:
    call.started = time.monotonic()
    return ToolStarted(
        call_id=call.item.call_id, name=call.item.name, arguments=call.action.arguments
    )
