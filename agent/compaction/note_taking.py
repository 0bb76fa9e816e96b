"""Takes notes in the background while there is room, or at once when they are needed.

Asks through the session's seams. Knows no transport, and no digest.
"""

import asyncio
from contextlib import aclosing
from importlib.resources import files

from ..conversation.history import Entry
from ..conversation.notes import MAX_NOTE_WORDS, Noted, Notes, Preparation, read_notes
from ..conversation.state import Conversation
from ..errors import ModelError
from ..protocol.events import Usage
from ..protocol.items import Item, Message, message, text_part
from ..protocol.record_lines import NotesLine
from ..responses.request import Request
from ..responses.stream import ResponseDone
from ..seams import Sample
from ..session import Session
from ..text.tokens import estimate
from .budget import NOTES_SHARE, WindowBudget, full_share, window_budget
from .units import tokens_of, units_of

NOTES_SECONDS = 90.0
"""Seconds that notes may take. After that the digest has none."""


def look_ahead(session: Session, fields: bytes) -> None:
    """Begin notes for the next compaction, if it is near and they are not begun yet."""
    conversation, room = session.conversation, window_budget(session, fields)
    near = room and conversation.history.tokens >= room.holds(full_share(session) * NOTES_SHARE)
    ours = session.settings.compaction == "cells" and session.seams.aside is not None
    if room is None or not near or not ours:
        return
    if conversation.preparing and conversation.preparing.rewrites == conversation.history.rewrites:
        return
    task = asyncio.get_running_loop().create_task(take_notes(session, fields, room))
    conversation.preparing = Preparation(task, conversation.history.rewrites)


async def prepared_notes(session: Session) -> Noted | None:
    """The notes that were begun for this window, once they are made. None without any."""
    conversation = session.conversation
    begun = conversation.preparing
    if begun is None or begun.rewrites != conversation.history.rewrites:
        return None
    if not begun.task.done() and begun.task.get_loop() is not asyncio.get_running_loop():
        return None
    noted = await asyncio.shield(begun.task) if not begun.task.done() else begun.task.result()
    conversation.preparing = None
    return noted if noted.notes else None


async def take_notes(session: Session, fields: bytes, room: WindowBudget) -> Noted:
    """Ask the model for notes of as much of the window as leaves it room to answer."""
    conversation = session.conversation
    entries = _answered(conversation, room)
    items = bytearray(b",".join([*(entry.item.wire for entry in entries), asking().wire]))
    notes, usage = None, Usage()
    if entries:
        sample = session.seams.aside or session.seams.sample
        notes, usage = await _ask(sample, Request.of(fields, items))
    told = notes and notes.model_dump()
    session.journal.write(NotesLine(entries=len(entries), usage=usage.model_dump(), notes=told))
    return Noted(notes, usage)


async def _ask(sample: Sample, request: Request) -> tuple[Notes | None, Usage]:
    items: list[Item] = []
    usage = Usage()
    try:
        async with asyncio.timeout(NOTES_SECONDS), aclosing(sample(request)) as parts:
            async for part in parts:
                if isinstance(part, Item):
                    items.append(part)
                elif isinstance(part, ResponseDone) and part.usage:
                    usage = part.usage
    except (ModelError, TimeoutError):
        return None, usage
    return read_notes(items), usage


def _answered(conversation: Conversation, room: WindowBudget) -> list[Entry]:
    """The window up to the model's last answer, or less. A server has that in its cache."""
    units = units_of(conversation.history.entries)
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


def ready_notes(conversation: Conversation) -> Notes | None:
    """The notes of this window, if they are ready."""
    ready = conversation.preparing
    if ready is None or not ready.task.done() or ready.rewrites != conversation.history.rewrites:
        return None
    return None if ready.task.cancelled() or ready.task.exception() else ready.task.result().notes


def asking() -> Message:
    """The item that asks for notes, to be put after the conversation: `prompts/notes.md`."""
    text = (files("inkernel.agent.context") / "prompts" / "notes.md").read_text(encoding="utf-8")
    return message("user", text_part(text.replace("{words}", str(MAX_NOTE_WORDS))))
