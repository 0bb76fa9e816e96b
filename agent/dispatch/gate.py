"""The one way from a call to its output: judge, ask, record the verdict, show it, run, report.

Knows neither who calls nor where the output goes.
"""

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from ..permissions.judge import judge
from ..protocol.actions import Verdict
from ..protocol.events import ApprovalNeeded, Event, ToolEnded, ToolStarted, VerdictGiven
from ..protocol.record_lines import VerdictLine
from ..session import Session
from ..tools.tool import Tool, ToolCall, ToolOutput, text_output


@dataclass(frozen=True, slots=True)
class GatedCall:
    """A call with valid arguments. It cannot run, only a `JudgedCall` can."""

    session: Session
    call: ToolCall
    tool: Tool[Any]
    arguments: BaseModel

    @property
    def only_looks(self) -> bool:
        """True if it changes nothing. Then it may run beside others, and is no step of its own."""
        return self.tool.touches(self.arguments).reads_only

    async def admit(self) -> "AsyncGenerator[Event | JudgedCall]":
        """Reach a verdict, if need be by asking a person, and record it before it is shown.

        The judged call comes last.
        """
        action = self.tool.action(self.arguments)
        call_id, name, arguments = self.call.id, action.tool, action.arguments
        verdict = judge(action, self.session.settings.policy)
        if verdict.decision == "ask":
            yield ApprovalNeeded(
                call_id=call_id, reason=verdict.reason, name=name, arguments=arguments
            )
            verdict = await self.session.seams.approve(action, verdict)
        line = VerdictLine(call_id=call_id, tool=name, **verdict.model_dump())
        self.session.journal.write(line)
        yield VerdictGiven(call_id=call_id, verdict=verdict)
        if verdict.decision == "allow":
            yield ToolStarted(call_id=call_id, name=name, arguments=arguments)
        yield JudgedCall(self, verdict)


@dataclass(frozen=True, slots=True)
class JudgedCall:
    """A call whose verdict is in the record. Only `GatedCall.admit` makes one."""

    gated: GatedCall
    verdict: Verdict

    async def run(self) -> ToolOutput:
        """Run the call, if the verdict allows it."""
        if self.verdict.decision != "allow":
            return text_output(f"Not run: {self.verdict.reason}.", "denied")
        started, gated = time.monotonic(), self.gated
        output = await gated.tool.run(gated.call, gated.arguments)
        return replace(output, seconds=time.monotonic() - started)


def tool_ended(call_id: str, output: ToolOutput) -> ToolEnded:
    """The event for the end of a call."""
    return ToolEnded(
        call_id=call_id,
        status=output.status,
        text=output.text,
        seconds=output.seconds,
        count=output.count,
    )
