"""Counts the use of a turn's budgets, and ends a turn that has used one up. Knows no model."""

import time
from dataclasses import dataclass, field

from ..errors import TurnLimited
from ..permissions.budget import Spent, Use, uses
from ..protocol.events import Event, Notice, Usage
from ..protocol.items import message, text_part
from ..protocol.verbatim_json import dumps
from ..providers.pricing import cost_of
from ..session import Session
from .calls import Calls
from .repeats import MOST_ALIKE, Failures


@dataclass(slots=True)
class Spending:
    """The sums of a turn so far. `told`: the budgets of whose use the model knows."""

    started: float = field(default_factory=time.monotonic)
    usage: Usage = field(default_factory=Usage)
    steps: int = 0
    sent: int = 0
    told: set[str] = field(default_factory=set[str])
    failures: Failures = field(default_factory=Failures)

    def count(self, calls: Calls) -> None:
        """Add the calls of a response, however it ended."""
        self.sent += calls.budget.sent
        self.steps += calls.budget.steps
        for call in calls.calls:
            if (output := call.output) is not None:
                self.sent += sum(len(text) for part in output.parts for text in part.values())
                self.sent += len(dumps(output.loads)) if output.loads else 0
                self.steps += call.is_step and output.status != "denied"

    def check_failures(self, calls: Calls) -> None:
        """Raises TurnLimited if a call of this response has failed the same way too often."""
        stuck = None
        for call in calls.calls:
            output = call.output
            if output and self.failures.note(call.item, output, looks=not call.is_step):
                stuck = call.item.name, output.text.strip().rpartition("\n")[2]
        if stuck:
            raise TurnLimited(
                f"The turn stopped: the same call of {stuck[0]} failed the same way"
                f" {MOST_ALIKE} times. The last line of its output: {stuck[1]:.200}",
                "Say in a new %%agent cell what to do instead, or `go on`.",
            )

    def check(self, session: Session) -> list[Event]:
        """Tell model and person of each budget that is nearly used. Raises TurnLimited at its end.

        The model gets a line in the window, the person a notice.
        """
        used = self._uses(session)
        if end := next((it for it in used if it.over), None):
            raise TurnLimited(
                f"The turn stopped: {end.words} are used.",
                f"All work is kept. Raise it with `%agent config {end.setting} NUMBER`, and say"
                " `go on` in a new %%agent cell.",
            )
        near = [it for it in used if it.near and it.setting not in self.told]
        if not near:
            return []
        self.told.update(it.setting for it in near)
        words = "; ".join(it.words for it in near)
        text = f"<budget>\nUsed: {words}. At its end the turn stops: finish soon.\n</budget>"
        session.journal.commit(message("user", text_part(text)), "place")
        return [Notice(text=f"Used: {words}. When all is used, the turn stops.")]

    def steps_left(self, session: Session) -> int | None:
        """How many steps the budgets leave. None if none limits them."""
        left = [
            int(it.most - it.used) for it in self._uses(session, priced=False) if it.counts_steps
        ]
        return min(left, default=None)

    def _uses(self, session: Session, priced: bool = True) -> list[Use]:
        settings, target, past = session.settings, session.target, session.conversation

        def cost(usage: Usage, most: float | None) -> float | None:
            return cost_of(usage, settings, target) if priced and most is not None else None

        seconds = time.monotonic() - self.started
        turn = Spent(
            tokens=self.usage.input + self.usage.output,
            cost=cost(self.usage, settings.turn_cost),
            steps=self.steps,
            seconds=seconds,
            sent=self.sent,
        )
        whole = Spent(
            tokens=past.usage.input + past.usage.output,
            cost=cost(past.usage, settings.session_cost),
            steps=past.steps + self.steps,
            seconds=past.seconds + seconds,
            sent=past.sent + self.sent,
        )
        return list(uses(settings, turn, whole))
