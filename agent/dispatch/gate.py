"""The one way from a call to its output: judge, ask, record the verdict, show it, run, tell.

Knows neither who calls nor where the output goes.
"""

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from ..permissions.judge import judge
from ..protocol.actions import Action, Verdict
from ..protocol.events import ApprovalNeeded, Event, ToolEnded, ToolStarted, VerdictGiven
from ..protocol.record_lines import VerdictLine
from ..session import Session
from ..tools.tool import Tool, ToolCall, ToolOutput, text_output

UNJUDGED = Verdict(decision="deny", reason="there is no verdict on it")


@dataclass(slots=True)
class GatedCall:
    """A call whose arguments are valid. Nothing of it runs before `admit` has been gone through."""

    session: Session
    call: ToolCall
    tool: Tool[Any]
    arguments: BaseModel
    action: Action = field(init=False)
    verdict: Verdict = UNJUDGED
    started: float | None = None

    def __post_init__(self) -> None:
        self.action = self.tool.action(self.arguments)

    async def admit(self) -> AsyncGenerator[Event]:
        """Reach a verdict, perhaps by asking a person, and record it before it is shown."""
        call_id, name, arguments = self.call.id, self.action.tool, self.action.arguments
        verdict = judge(self.action, self.session.settings.policy)
        if verdict.decision == "ask":
            yield ApprovalNeeded(
                call_id=call_id, reason=verdict.reason, name=name, arguments=arguments
            )
            verdict = await self.session.seams.approve(self.action, verdict)
        line = VerdictLine(call_id=call_id, tool=name, **verdict.model_dump())
        self.session.journal.write(line)
        self.verdict = verdict
        yield VerdictGiven(call_id=call_id, verdict=verdict)
        if verdict.decision == "allow":
            self.started = time.monotonic()
            yield ToolStarted(call_id=call_id, name=name, arguments=arguments)

    async def run(self) -> ToolOutput:
        """Run it, if the verdict allows that."""
        if self.verdict.decision != "allow":
            return text_output(f"Not run: {self.verdict.reason}.", "denied")
        return await self.tool.run(self.call, self.arguments)

    def ended(self, output: ToolOutput) -> ToolEnded:
        """Tells how it went."""
        return tool_ended(self.call.id, output, self.started)


def tool_ended(call_id: str, output: ToolOutput, started: float | None = None) -> ToolEnded:
    """Tells how a call went; of one that did not start, that took no time."""
    return ToolEnded(
        call_id=call_id,
        status=output.status,
        text=output.text,
        seconds=time.monotonic() - started if started is not None else 0.0,
        count=output.count,
    )
