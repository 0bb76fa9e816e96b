"""Room in the model's window: how much there is, and how much a compaction leaves. Only reckons."""

from dataclasses import dataclass
from typing import Literal

from ..responses.request import read_by_model
from ..session import Session
from ..text.tokens import estimate

NOTES_SHARE = 0.75
"""Of the part of the window that is too full: from there on notes are made in the background."""

MIN_KEPT_SHARE = 0.25
"""Part of what the fixed fields leave of a window that a compaction leaves, at least."""

MIN_KEPT_TOKENS = 500
"""Tokens of history that a compaction that is asked for leaves, at least."""

Why = Literal["full", "overflow", "asked"]


@dataclass(frozen=True, slots=True)
class WindowBudget:
    """A window of `window` tokens. `fixed`: ours of the fields; `factor`: the server's for ours."""

    window: int
    fixed: int
    factor: float

    def holds(self, part: float) -> int:
        """Our tokens of history that fill that part of the window."""
        return self.tokens(part) - self.fixed

    def tokens(self, part: float) -> int:
        """Our tokens for that part of the window, whatever is in it."""
        return int(self.window * part / self.factor)

    def target(self, part: float) -> int:
        """Our tokens of history after a compaction."""
        return max(self.holds(part), int(self.holds(1.0) * MIN_KEPT_SHARE))


def window_budget(session: Session, fields: bytes) -> WindowBudget | None:
    """The room there is; None where nobody knows the model's window."""
    conversation = session.conversation
    known = [
        it for it in (session.settings.window or session.target.window, conversation.window) if it
    ]
    if not known:
        return None
    counted = conversation.counted
    factor = counted.reported / counted.counted if counted and counted.counted else 1.0
    return WindowBudget(min(known), estimate(read_by_model(fields)), min(max(factor, 0.25), 4.0))


def target_of(session: Session, fields: bytes) -> int:
    """Our tokens of history that a compaction leaves."""
    return target(session, budget_or_size(session, fields), "full")


def budget_or_size(session: Session, fields: bytes) -> WindowBudget:
    """The room there is; where nobody knows the window, what is taken is taken for all of it."""
    fixed = estimate(read_by_model(fields))
    return window_budget(session, fields) or WindowBudget(
        session.conversation.size(fixed), fixed, 1.0
    )


def target(session: Session, room: WindowBudget, why: Why) -> int:
    """Our tokens of history after a compaction; when it is asked for, a part of what there is."""
    left = room.target(session.settings.compact_to)
    if why == "asked":
        now = int(session.conversation.history.tokens * session.settings.compact_to)
        return max(min(left, now), MIN_KEPT_TOKENS)
    return left


def full_share(session: Session) -> float:
    """The part of the window that is too full for us; a server's own compaction comes before."""
    at = session.settings.compact_at
    return (1 + at) / 2 if session.settings.compaction == "server" else at
