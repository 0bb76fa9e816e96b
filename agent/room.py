"""Room in the model's window: whether there is enough, notes made in good time, making it shorter.

Knows no transport. What goes and what stays is decided in `compaction`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Literal

from .compaction import Known, Shortened, shorten
from .errors import ContextLengthError, ModelError
from .events import Compacted, Compacting, Event, Notice, Usage
from .history import Entry
from .items import Item
from .notes import NOT_NOTED, Noted, Notes, Preparation, asking, read_notes
from .request import Request
from .seen import NameSeen
from .session import Conversation, Sample, Session, validity
from .tokens import estimate
from .units import tokens_of, units_of
from .wire import Finished

PREPARE = 0.75
"""Of the part of the window that is too full: from there on notes are made in the background."""

PATIENCE = 90.0
"""Seconds that notes may take; after that the digest does without."""

WORTH = 0.9
"""A window that would not become shorter than this part of itself is left as it is."""

FEWEST = 500
"""Tokens of history that a compaction that is asked for leaves, at least."""

Why = Literal["full", "overflow", "asked"]

LEAST = 0.25
"""Part of what the fixed fields leave of a window that a compaction leaves, at least."""


@dataclass(frozen=True, slots=True)
class Room:
    """A window of `window` tokens. `fixed`: ours of the fields; `factor`: the server's for ours."""

    window: int
    fixed: int
    factor: float

    def holds(self, part: float) -> int:
        """Our tokens of history that fill that part of the window."""
        return int(self.window * part / self.factor) - self.fixed

    def target(self, part: float) -> int:
        """Our tokens of history after a compaction."""
        return max(self.holds(part), int(self.holds(1.0) * LEAST))


def room_of(session: Session, fields: bytes) -> Room | None:
    """The room there is; None where nobody knows the model's window."""
    talk = session.conversation
    known = [it for it in (session.settings.window or session.target.window, talk.window) if it]
    if not known:
        return None
    counted = talk.counted
    factor = counted.reported / counted.counted if counted and counted.counted else 1.0
    return Room(min(known), estimate(fields), min(max(factor, 0.25), 4.0))


async def make_room(session: Session, fields: bytes) -> AsyncGenerator[Event]:
    """Before a sample: make the window shorter if it is too full; prepare that if it soon will be.

    Raises ContextLengthError when what cannot be left out is more than the window.
    """
    room = room_of(session, fields)
    if room is None:
        return
    if room.holds(1.0) <= 0:
        raise ContextLengthError(
            f"Instructions and tools alone take about {room.fixed:,} tokens;"
            f" the window of {session.target.model} has {room.window:,}.",
            "Choose a model with a larger window, or say how large: `%agent config window N`.",
        )
    talk, full = session.conversation, session.settings.compact_at
    if talk.history.tokens >= room.holds(full) and talk.history.tokens > talk.stuck:
        async for event in _compact(session, fields, room, "full"):
            yield event
    else:
        look_ahead(session, fields)


async def overflowed(
    session: Session, fields: bytes, error: ContextLengthError
) -> AsyncGenerator[Event]:
    """After the server refused a request as too long. Raises that error if nothing can be done.

    Where nobody knows the model's window, it is smaller than what was refused: that is kept.
    """
    talk = session.conversation
    before, window, size = talk.history.tokens, talk.window, talk.size(estimate(fields))
    talk.window = min(size, window or size)
    room = room_of(session, fields)
    if room is not None and room.holds(1.0) > 0:
        async for event in _compact(session, fields, room, "overflow"):
            yield event
    if talk.history.tokens >= before:
        talk.window = window
        raise error


def look_ahead(session: Session, fields: bytes) -> None:
    """Begin to make notes for the next compaction, when it is near and they are not being made."""
    talk, room = session.conversation, room_of(session, fields)
    near = room and talk.history.tokens >= room.holds(session.settings.compact_at * PREPARE)
    if room is None or not near or session.aside is None:
        return
    if talk.preparing and talk.preparing.rewrites == talk.history.rewrites:
        return
    task = asyncio.get_running_loop().create_task(_take_notes(session, fields, room))
    talk.preparing = Preparation(task, talk.history.rewrites)


def known(session: Session, notes: Notes | None = None) -> Known:
    """What is known beside the window, for a digest. Tells no one."""
    talk = session.conversation
    live = session.live() if session.live else talk.told.names
    return Known(
        validity=validity(talk, session.outputs),
        turn=talk.turns,
        turns=talk.heads,
        facts=talk.told.facts,
        names=[seen.line for seen in live.values() if isinstance(seen, NameSeen)],
        notes=notes,
        digest=talk.digest,
    )


async def compact_now(session: Session, fields: bytes) -> AsyncGenerator[Event]:
    """Make the window shorter because the person asks for it."""
    async for event in _compact(session, fields, _room_or_size(session, fields), "asked"):
        yield event


def preview(session: Session, fields: bytes, why: Why = "full") -> Shortened:
    """What a compaction now would come to, with the notes that are there. Changes nothing."""
    talk = session.conversation
    target = _target(session, _room_or_size(session, fields), why)
    return shorten(talk.history.entries, known(session, _prepared(talk)), target, _unkept)


def target_of(session: Session, fields: bytes) -> int:
    """Our tokens of history that a compaction leaves."""
    return _target(session, _room_or_size(session, fields), "full")


def _room_or_size(session: Session, fields: bytes) -> Room:
    """The room there is; where nobody knows the window, what is taken is taken for all of it."""
    fixed = estimate(fields)
    return room_of(session, fields) or Room(session.conversation.size(fixed), fixed, 1.0)


def _target(session: Session, room: Room, why: Why) -> int:
    """Our tokens of history after a compaction; when it is asked for, a part of what there is."""
    target = room.target(session.settings.compact_to)
    if why == "asked":
        now = int(session.conversation.history.tokens * session.settings.compact_to)
        return max(min(target, now), FEWEST)
    return target


def _unkept(_text: str) -> str:
    """Stands for the handle of a text that would be kept."""
    return "out-…"


async def _compact(session: Session, fields: bytes, room: Room, why: Why) -> AsyncGenerator[Event]:
    """Make the window shorter, once."""
    talk, started = session.conversation, time.monotonic()
    before = talk.size(room.fixed)
    yield Compacting(tokens=before, window=room.window, overflow=why == "overflow")
    target = _target(session, room, why)
    noted = await _notes_for(session, fields, room, target)
    about = known(session, noted.notes)
    done = shorten(talk.history.entries, about, target, session.outputs.keep)
    shorter = done.tokens < talk.history.tokens * WORTH
    if shorter:
        _replace_window(session, done, why)
    after = talk.size(room.fixed)
    talk.stuck = 0 if shorter and after < room.window else talk.history.tokens + room.holds(0.05)
    yield Compacted(
        before=before,
        after=after,
        dropped=done.dropped.words() if shorter else "nothing",
        notes=_whose(noted, done),
        usage=noted.usage,
        seconds=time.monotonic() - started,
    )
    if why != "full":
        return
    if not shorter:
        yield Notice(text=_why_not(room, talk))
    if talk.history.tokens >= room.holds(1.0):
        raise ContextLengthError(
            _why_not(room, talk), "Say it in fewer words, unpin cells, or begin anew: `%agent new`."
        )


def _replace_window(session: Session, done: Shortened, why: Why) -> None:
    """Have the shorter window, and know the names as its digest tells them."""
    talk = session.conversation
    session.rewrite(done.entries, why, done.digest)
    if session.live:
        session.know(replace(talk.told, names=session.live()))


async def _notes_for(session: Session, fields: bytes, room: Room, target: int) -> Noted:
    """The notes that were prepared; else they are made now, if only the digest will tell of it."""
    talk = session.conversation
    preparing = talk.preparing
    if preparing and preparing.rewrites == talk.history.rewrites:
        if preparing.task.get_loop() is asyncio.get_running_loop():
            noted = await asyncio.shield(preparing.task)
            talk.preparing = None
            if noted.notes:
                return noted
        else:
            preparing.task.cancel()
            talk.preparing = None
    if not shorten(talk.history.entries, known(session), target, _unkept).folded:
        return NOT_NOTED
    return await _take_notes(session, fields, room)


async def _take_notes(session: Session, fields: bytes, room: Room) -> Noted:
    """Ask the model for notes of as much of the window as leaves it room to answer."""
    talk = session.conversation
    entries = _answered(talk, room)
    items = bytearray(b",".join([*(entry.item.wire for entry in entries), asking().wire]))
    notes, usage = None, Usage()
    if entries:
        notes, usage = await _ask(session.aside or session.sample, Request.of(fields, items))
    talk.usage += usage
    values = {"entries": len(entries), "usage": usage.model_dump()}
    session.record.append("notes", {**values, "notes": notes and notes.model_dump()})
    return Noted(notes, usage)


async def _ask(sample: Sample, request: Request) -> tuple[Notes | None, Usage]:
    items: list[Item] = []
    usage = Usage()
    try:
        async with asyncio.timeout(PATIENCE), aclosing(sample(request)) as parts:
            async for part in parts:
                if isinstance(part, Item):
                    items.append(part)
                elif isinstance(part, Finished) and part.usage:
                    usage = part.usage
    except (ModelError, TimeoutError):
        return None, usage
    return read_notes(items), usage


def _answered(talk: Conversation, room: Room) -> list[Entry]:
    """The window up to what the model last answered, or less: what a server has in its cache."""
    units = units_of(talk.history.entries)
    while units and units[-1][0].kind != "model":
        units.pop()
    left = room.holds(0.95) - estimate(asking().wire)
    kept: list[Entry] = []
    for unit in units:
        left -= tokens_of(unit)
        if left < 0:
            break
        kept += unit
    return kept


def _prepared(talk: Conversation) -> Notes | None:
    """Notes that are ready, of this window."""
    ready = talk.preparing
    if ready is None or not ready.task.done() or ready.rewrites != talk.history.rewrites:
        return None
    return None if ready.task.cancelled() or ready.task.exception() else ready.task.result().notes


def _whose(noted: Noted, done: Shortened) -> Literal["model", "earlier", "none", "unasked"]:
    if noted.notes:
        return "model"
    if not done.digest.notes.empty:
        return "earlier"
    return "none" if noted.asked else "unasked"


def _why_not(room: Room, talk: Conversation) -> str:
    return (
        f"The conversation takes {talk.size(room.fixed):,} of {room.window:,} tokens and cannot be"
        " made shorter: what was said last, the last step and pinned cells stay whole."
    )
