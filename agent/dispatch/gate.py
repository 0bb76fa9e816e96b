"""The one way from a call to its output: judge, try, ask, record the verdict, show it, run, report.

Knows neither who calls nor where the output goes.
"""

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel

from ..frozen import frozen
from ..permissions.judge import Seen, Terms, judge, judge_trial, named_still
from ..permissions.question import question
from ..protocol.actions import Action, Verdict
from ..protocol.events import ApprovalNeeded, Event, ToolEnded, ToolStarted, TrialRan, VerdictGiven
from ..protocol.items import text_part
from ..protocol.policy import read_policy
from ..protocol.record_lines import VerdictLine
from ..protocol.trials import Deed, Trial
from ..session import Session
from ..tools.tool import ChangedError, Tool, ToolCall, ToolOutput, text_output
from .trial_output import trial_output

_CHANGED = "the code as the person changed it"
_EDITED = "The person changed your code before it ran. This is the outcome of the changed code."


@frozen
class GatedCall:
    """A call with valid arguments. It cannot run, only a `JudgedCall` can.

    `only_looks`: it changes nothing. Then it may run beside others, and is no step of its own.
    """

    session: Session
    call: ToolCall
    tool: Tool[Any]
    arguments: BaseModel
    only_looks: bool

    async def admit(self) -> "AsyncGenerator[Event | JudgedCall]":
        """Reach a verdict, if need be by a trial run or by asking a person, and record it before it
        is shown.

        The judged call comes last. If what it would do has changed by then, there is another one.
        """
        judged = None
        while judged is None or judged.changed:
            async for it in self._admit():
                if isinstance(it, JudgedCall):
                    judged = it
                yield it

    async def _admit(self, yes: Verdict | None = None) -> "AsyncGenerator[Event | JudgedCall]":
        """`yes`: the person has changed the code, and said yes to that."""
        action = await self.tool.action(self.arguments)
        call_id, terms, edited = self.call.id, self._terms(), yes is not None
        seen = self._read(action)
        if yes is not None:
            yes = yes.model_copy(update={"deeds": named_still(yes.deeds, seen)})
            terms = replace(terms, yes=yes.deeds)
        verdict, trial = await self._judged(action, seen, terms)
        if trial is not None and verdict.decision != "allow":
            yield TrialRan(call_id=call_id, trial=trial)
        if verdict.decision == "ask":
            yield ApprovalNeeded(
                call_id=call_id,
                reason=verdict.reason,
                name=action.tool,
                arguments=action.arguments,
                literal=action.literal,
                deeds=verdict.deeds,
            )
            answer = await self.session.seams.approve(question(action, verdict, trial, terms))
            if answer.code is not None:
                arguments = self.arguments.model_copy(update={"code": answer.code})
                said = _with_deeds(answer.verdict, (*(terms.yes or ()), *verdict.deeds))
                async for it in replace(self, arguments=arguments)._admit(said):
                    yield it
                return
            verdict = answer.verdict
        if yes is not None:
            verdict = _of_changed(verdict, yes)
        verdict = self._record(action, verdict, edited=edited)
        yield VerdictGiven(call_id=call_id, verdict=verdict)
        if verdict.decision == "allow":
            yield ToolStarted(
                call_id=call_id, name=action.tool, arguments=action.arguments, edited=edited
            )
        call = replace(self.call, verdict=verdict, action=action, trial=trial)
        yield JudgedCall(replace(self, call=call), verdict, action, trial, edited=edited)

    async def _judged(
        self, action: Action, seen: Seen, terms: Terms
    ) -> tuple[Verdict, Trial | None]:
        """The verdict, after a trial run if there is one."""
        verdict = judge(action, seen, terms)
        if verdict.decision != "try" or self.session.seams.trial is None:
            return verdict, None
        trial = await self.session.seams.trial(self.call, action)
        return judge_trial(action, trial, terms, seen), trial

    def _terms(self) -> Terms:
        settings, seams = self.session.settings, self.session.seams
        rules, held = seams.rules()
        policy, can_try = read_policy(settings.policy), seams.trial is not None
        return Terms(policy=policy, rules=rules, held=held, trial=settings.trial, can_try=can_try)

    def _read(self, action: Action) -> Seen:
        read = self.session.seams.read
        return read(action.code) if read is not None and action.code is not None else Seen()

    def _record(self, action: Action, verdict: Verdict, *, edited: bool) -> Verdict:
        """The verdict with its time, once the record has it."""
        literal = action.literal if edited or self.tool.looked_up else ""
        return note_verdict(self.session, self.call, action, verdict, literal)


def _with_deeds(verdict: Verdict, deeds: tuple[Deed, ...]) -> Verdict:
    return verdict.model_copy(update={"deeds": tuple(dict.fromkeys(deeds))})


def _of_changed(verdict: Verdict, yes: Verdict) -> Verdict:
    """The verdict on code that the person has changed. Their yes is the reason why it runs."""
    if verdict.decision == "allow":
        said = yes if verdict.by == "policy" else verdict
        return _with_deeds(said, (*yes.deeds, *verdict.deeds))
    return verdict.model_copy(update={"reason": f"{_CHANGED}: {verdict.reason}"})


def note_verdict(
    session: Session, call: ToolCall, action: Action, verdict: Verdict, literal: str = ""
) -> Verdict:
    """The verdict with its time, once the record has it. `literal`: what would happen, if it is
    not in the call."""
    verdict = verdict.model_copy(update={"at": time.strftime("%Y-%m-%dT%H:%M:%S%z")})
    line = VerdictLine(
        call_id=call.id,
        tool=action.tool,
        decision=verdict.decision,
        reason=verdict.reason,
        by=verdict.by,
        when=verdict.at,
        literal=literal,
        deeds=[[it.kind, it.target, it.call] for it in verdict.deeds],
    )
    session.journal.write(line)
    return verdict


@dataclass(slots=True)
class JudgedCall:
    """A call whose verdict is in the record. Only `GatedCall.admit` makes one.

    `trial`: its trial run. `edited`: the person has changed its code. `changed`: what it would do
    is another thing than what was judged, so it has not run.
    """

    gated: GatedCall
    verdict: Verdict
    action: Action
    trial: Trial | None = None
    edited: bool = False
    changed: bool = field(default=False, init=False)

    async def run(self) -> ToolOutput:
        """Run the call, if the verdict allows it."""
        started, gated = time.monotonic(), self.gated
        if self.verdict.decision == "try" and self.trial is not None:
            return trial_output(self.trial, self.action.literal, gated.session)
        if self.verdict.decision != "allow":
            return text_output(f"Not run: {self.verdict.reason}.", "denied")
        try:
            output = await gated.tool.run(gated.call, gated.arguments)
        except ChangedError as error:
            self.changed = True
            return text_output(f"Not run: {error}.", "denied")
        if self.edited:
            output = replace(output, parts=(text_part(_EDITED), *output.parts))
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
