"""Compacts the window: before a sample, after a refusal, or when you ask.

Knows no transport. `shorten` decides which entries go and which stay.
"""

import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Literal

from ..conversation.history import Entry, OpaqueStart
from ..conversation.notes import NOT_NOTED, Noted
from ..conversation.state import Conversation
from ..dialects.request import fixed_tokens
from ..errors import ContextLengthError
from ..protocol.events import Compacted, Compacting, Event, Notice
from ..protocol.items import message, text_part
from ..session import Session
from ..transport.provider_compaction import Sealed
from .budget import Why, WindowBudget, budget_or_size, full_share, target, window_budget
from .inputs import compaction_input
from .note_taking import (
    NOTES_SECONDS,
    WAIT_SECONDS,
    awaited_notes,
    forget_notes,
    look_ahead,
    ready_notes,
    stop_notes,
)
from .provider import ask_provider, prune
from .shorten import CompactedWindow, shorten

RETRY_SHARE = 0.05
"""Part of the window that must be added before we try again after a useless compaction."""

SHORTER_SHARE = 0.1
"""Part of the window by which it became shorter, if the model's budget is to be told anew."""

WORTHWHILE_SHARE = 0.9
"""A compaction that leaves more than this part of the history is not done."""


async def make_room(session: Session, fields: bytes) -> AsyncGenerator[Event]:
    """Before a sample, compact the window if it is too full, or prepare that if it soon will be.

    Raises ContextLengthError when the parts that cannot be left out exceed the window.
    """
    room = window_budget(session, fields)
    if room is None:
        return
    if room.holds(1.0) <= 0:
        raise ContextLengthError(
            f"Instructions and tools alone take about {room.fixed:,} tokens;"
            f" the window of {session.target.model} has {room.window:,}.",
            "Choose a model with a larger window, or set its size: `%agent config window N`.",
        )
    prune(session, room)
    conversation = session.conversation
    tokens, full = conversation.history.tokens, room.holds(full_share(session))
    if tokens >= full and (tokens > conversation.stuck or tokens >= room.holds(1.0)):
        async for event in _compact(session, fields, room, "full"):
            yield event
    else:
        _tell_budget(session, room)
        look_ahead(session, fields)


def _tell_budget(session: Session, room: WindowBudget) -> None:
    """Tell the model once that a part of the window is used, and anew after a compaction."""
    conversation = session.conversation
    told, tokens = conversation.told, conversation.history.tokens
    full = room.passed(tokens)
    if full > told.full:
        left = max(room.window - conversation.size(room.fixed), 0)
        text = _budget_text(full, left, full_share(session))
        session.journal.commit(message("user", text_part(text)), "place")
    elif tokens >= room.holds(told.full / 100 - SHORTER_SHARE):
        return  # the server's count of the same window varies a little
    session.journal.know(replace(told, full=full))


def _budget_text(full: int, left: int, compact_at: float) -> str:
    coming = f"At {compact_at:.0%} its oldest part becomes a digest; `recall` still has all of it."
    if full >= 100 * compact_at:
        coming = "Little of it can be left out: come to an end."
    return (
        f"<window>\nMore than {full}% of your window is used: about {left:,} tokens are left."
        f" {coming}\n</window>"
    )


async def overflowed(
    session: Session, fields: bytes, error: ContextLengthError
) -> AsyncGenerator[Event]:
    """Compact after the server refused a request as too long. Raises that error if it cannot.

    The size of the refused request is kept as most tokens of the model's window.
    """
    conversation = session.conversation
    before, window, size = (
        conversation.history.tokens,
        conversation.window,
        conversation.size(fixed_tokens(fields)),
    )
    conversation.window = min(size, window or size)
    room = window_budget(session, fields)
    if room is not None and room.holds(1.0) > 0:
        async for event in _compact(session, fields, room, "overflow"):
            yield event
    if conversation.history.tokens >= before:
        conversation.window = window
        raise error


async def compact_now(session: Session, fields: bytes, matters: str = "") -> AsyncGenerator[Event]:
    """Compact the window because you ask for it. `matters`: your words on what to keep.

    Notes that failed before, or do not know these words, are asked for again.
    """
    if matters or ready_notes(session.conversation) is None:
        forget_notes(session.conversation)
    room = budget_or_size(session, fields)
    async for event in _compact(session, fields, room, "asked", matters):
        yield event


def preview(session: Session, fields: bytes, why: Why = "full") -> CompactedWindow:
    """The window after a compaction now, with the notes that are ready. Changes nothing."""
    conversation = session.conversation
    goal = target(session, budget_or_size(session, fields), why)
    return shorten(
        conversation.history.local,
        compaction_input(session, ready_notes(conversation)),
        goal,
        _unkept,
    )


def is_worthwhile(session: Session, done: CompactedWindow) -> bool:
    """Whether the window becomes shorter by enough to be replaced."""
    return done.tokens < session.conversation.history.tokens * WORTHWHILE_SHARE


def _unkept(_text: str, _turn: int) -> str:
    """A placeholder for the handle of a text that a compaction would keep."""
    return "out-…"


async def _compact(
    session: Session, fields: bytes, room: WindowBudget, why: Why, matters: str = ""
) -> AsyncGenerator[Event]:
    """Compact the window, once."""
    conversation, started = session.conversation, time.monotonic()
    before = conversation.size(room.fixed)
    yield Compacting(tokens=before, window=room.window, overflow=why == "overflow")
    goal = target(session, room, why)
    sealed, failed = await ask_provider(session, fields)
    noted = NOT_NOTED if sealed else await _notes_for(session, fields, room, why, matters)
    about = compaction_input(session, noted.notes)
    done = shorten(conversation.history.local, about, goal, session.outputs.keep)
    shorter = sealed is not None or is_worthwhile(session, done)
    if sealed:
        entries = [Entry(item, conversation.turns, None, "digest") for item in sealed.items]
        opaque = OpaqueStart(session.target.provider, len(entries), done.entries)
        session.journal.rewrite(entries, why, done.digest, opaque)
    elif shorter:
        _replace_window(session, done, why)
    after = conversation.size(room.fixed)
    conversation.stuck = (
        0
        if shorter and after < room.window
        else conversation.history.tokens + room.tokens(RETRY_SHARE)
    )
    yield Compacted(
        before=before,
        after=after,
        dropped=_what(sealed, done, shorter),
        notes=_whose(noted, done),
        failed=noted.failed,
        usage=sealed.usage if sealed else noted.usage,
        seconds=time.monotonic() - started,
    )
    if failed:
        yield Notice(text=failed)
    if why != "full":
        return
    if not shorter:
        yield Notice(text=_why_not(room, conversation))
    if conversation.history.tokens >= room.holds(1.0):
        raise ContextLengthError(
            _why_not(room, conversation),
            f"Take it back (`%agent rewind turn {conversation.turns}`) and say it in fewer words,"
            " unpin cells, or start a new session: `%agent new`.",
        )


def _what(sealed: Sealed | None, done: CompactedWindow, shorter: bool) -> str:
    if sealed:
        return "the provider's compaction; ours is kept beside it"
    return done.dropped.words() if shorter else "nothing"


def _replace_window(session: Session, done: CompactedWindow, why: Why) -> None:
    """Replace the window, and note that the model knows the variables in its digest."""
    conversation = session.conversation
    stop_notes(conversation)
    session.journal.rewrite(done.entries, why, done.digest)
    if variables := session.seams.variables:
        session.journal.know(replace(conversation.told, names=variables()))


async def _notes_for(
    session: Session, fields: bytes, room: WindowBudget, why: Why, matters: str
) -> Noted:
    """The notes that are ready, or else new ones if they can be of use: units are folded, by far.

    A person waits for longer.
    """
    conversation, goal = session.conversation, target(session, room, why)
    if ready_notes(conversation) is None:
        about = compaction_input(session)
        without = shorten(conversation.history.local, about, goal, _unkept)
        if not (without.folded and is_worthwhile(session, without)):
            return NOT_NOTED
    wait = NOTES_SECONDS if why == "asked" else WAIT_SECONDS
    return await awaited_notes(session, fields, room, wait, matters)


def _whose(noted: Noted, done: CompactedWindow) -> Literal["model", "earlier", "none", "unasked"]:
    if noted.notes:
        return "model"
    if not done.digest.notes.empty:
        return "earlier"
    return "none" if noted.asked else "unasked"


def _why_not(room: WindowBudget, conversation: Conversation) -> str:
    return (
        f"The conversation takes {conversation.size(room.fixed):,} of {room.window:,} tokens and"
        " cannot be made shorter: the last prompt, the last step and pinned cells stay whole."
    )
