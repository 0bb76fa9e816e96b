"""Tokens of the model's window: how many there are, and how many a compaction leaves. Pure."""

from typing import Literal

from ..conversation.digest import NOTED_SHARE, share
from ..dialects.request import fixed_tokens
from ..frozen import frozen
from ..session import Session

NOTES_SHARE = 0.75
"""Share of the too-full part of the window from which on notes are made in the background."""

TOLD_PERCENTS = (50, 70, 80)
"""Parts of the window. A line tells the model that one is used."""

MIN_KEPT_SHARE = 0.25
"""Least share that a compaction leaves, of a window without the fixed fields."""

MIN_KEPT_TOKENS = 500
"""Least tokens of history that a compaction leaves when you ask for it."""

WORDS_SHARE = 0.25
"""Part of the whole window that the person's words may take, whatever else has to go."""

MAX_WORDS_SHARE, MAX_SHARE = 0.55, 0.9
"""Most of the history at which we compact that these words are, and most of a whole window's
history that a compaction leaves for their sake."""

NOTE_WORDS, NOTE_WORDS_WINDOW = 700, 32_000
"""Words of notes that we ask for at that window. They grow with the square root of the window."""

NOTE_WORD_TOKENS = 1.5
"""About how many tokens a word of notes has."""

Why = Literal["full", "overflow", "asked"]


@frozen
class Room:
    """Tokens of history after a compaction, as we count.

    `words`: most of the person's words in the digest. For them it may have more than `tokens`, but
    at most `most`.
    """

    tokens: int
    words: int
    most: int


@frozen
class WindowBudget:
    """A window of `window` tokens, as the server counts.

    `fixed`: tokens of the request's fields, as we count. `factor`: server tokens for one of ours.
    """

    window: int
    fixed: int
    factor: float

    def holds(self, part: float) -> int:
        """Tokens of history, as we count, that fill that part of the window."""
        return self.tokens(part) - self.fixed

    def tokens(self, part: float) -> int:
        """Tokens of that part of the window, as we count, whatever is in it."""
        return int(self.window * part / self.factor)

    def passed(self, tokens: int) -> int:
        """The last of `TOLD_PERCENTS` that so many tokens of history fill, or 0."""
        return max((it for it in TOLD_PERCENTS if tokens >= self.holds(it / 100)), default=0)

    def target(self, part: float) -> int:
        """Tokens of history after a compaction, as we count."""
        return max(self.holds(part), int(self.holds(1.0) * MIN_KEPT_SHARE))


def window_budget(session: Session, fields: bytes) -> WindowBudget | None:
    """The budget, or None when the model's window is not known."""
    conversation = session.conversation
    known = [
        it for it in (session.settings.window or session.target.window, conversation.window) if it
    ]
    if not known:
        return None
    counted = conversation.counted
    factor = counted.reported / counted.counted if counted and counted.counted else 1.0
    return WindowBudget(min(known), fixed_tokens(fields), min(max(factor, 0.25), 4.0))


def target_of(session: Session, fields: bytes) -> Room:
    """The room for the history that a compaction leaves."""
    return target(session, budget_or_size(session, fields), "full")


def budget_or_size(session: Session, fields: bytes) -> WindowBudget:
    """The budget. If the window is not known, the present size counts as the whole window."""
    fixed = fixed_tokens(fields)
    return window_budget(session, fields) or WindowBudget(
        session.conversation.size(fixed), fixed, 1.0
    )


def target(session: Session, room: WindowBudget, why: Why) -> Room:
    """The room after a compaction. If you asked for it, at most a part of the present tokens."""
    left = room.target(session.settings.compact_to)
    if why == "asked":
        now = int(session.conversation.history.tokens * session.settings.compact_to)
        left = max(min(left, now), MIN_KEPT_TOKENS)
    words = min(room.tokens(WORDS_SHARE), int(room.holds(full_share(session)) * MAX_WORDS_SHARE))
    return Room(left, words, max(left, int(room.holds(1.0) * MAX_SHARE)))


def note_words(session: Session, room: WindowBudget) -> int:
    """Most words of notes that we ask for, of which the digest has room for all."""
    fitting = share(target(session, room, "full").tokens, NOTED_SHARE) / NOTE_WORD_TOKENS
    return int(min(fitting, NOTE_WORDS * (room.window / NOTE_WORDS_WINDOW) ** 0.5))


def full_share(session: Session) -> float:
    """The part of the window at which we compact. A server's own compaction comes earlier."""
    at = session.settings.compact_at
    return (1 + at) / 2 if session.settings.compaction == "server" else at
