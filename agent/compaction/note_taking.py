"""Takes notes in the background while there is room, or at once when they are needed.

Asks through the session's seams. Knows no transport, and no digest.
"""

import asyncio
from contextlib import aclosing
from dataclasses import asdict
from importlib.resources import files

from ..conversation.history import Entry
from ..conversation.notes import (
    NO_ANSWER,
    Noted,
    Notes,
    Preparation,
    read_notes,
)
from ..conversation.state import Conversation
from ..dialects.dialect import Counted, ResponseDone
from ..dialects.request import Request
from ..errors import ModelError
from ..protocol.events import Usage
from ..protocol.items import Item, Message, message, text_part
from ..protocol.record_lines import NotesLine
from ..seams import Sample
from ..session import Session
from ..text.tokens import estimate
from .budget import NOTES_SHARE, WindowBudget, full_share, note_words, window_budget
from .units import tokens_of, units_of

NOTES_SECONDS = 90.0
"""Seconds that notes may take. After that the digest has none."""

WAIT_SECONDS = 10.0
"""Seconds that a turn waits for notes. Then it goes on without, since they only help."""

WHAT_MATTERS = "- The person asked for this now, and says what matters most: {}\n"


def look_ahead(session: Session, fields: bytes) -> None:
    """Begin notes for the next compaction, if it is near and they are not begun yet."""
    conversation, room = session.conversation, window_budget(session, fields)
    near = room and conversation.history.tokens >= room.holds(full_share(session) * NOTES_SHARE)
    ours = session.settings.compaction == "cells" and session.seams.aside is not None
    if room is None or not near or not ours or _begun(conversation):
        return
    _begin(session, fields, room)


async def awaited_notes(
    session: Session, fields: bytes, room: WindowBudget, seconds: float, matters: str = ""
) -> Noted:
    """The notes of this window, or none if they fail or take longer than `seconds`.

    `matters`: the person's words on what to keep, if notes are asked for now.
    After a failure they are not asked for again in this window, and the next ones are used only
    if they are there in time. A cancellation ends the asking, too.
    """
    begun = _begun(session.conversation)
    wait = 0 if begun and begun.again else seconds
    begun = begun or _begin(session, fields, room, matters)
    if not begun.failed and not begun.task.done():
        try:
            await asyncio.wait({begun.task}, timeout=wait)
        finally:
            if not begun.task.done():
                begun.give_up()
    if begun.failed:
        return NO_ANSWER
    session.conversation.preparing = None
    noted = begun.task.result()
    if not noted.notes:
        begun.failed, session.conversation.preparing = True, begun
    return noted


def stop_notes(conversation: Conversation) -> None:
    """End the asking for notes, if it goes on. They may be asked for again."""
    begun = conversation.preparing
    if begun and not begun.failed and not begun.task.done():
        begun.give_up()
        conversation.preparing = None


def forget_notes(conversation: Conversation) -> None:
    """Let the next compaction ask for notes anew."""
    stop_notes(conversation)
    conversation.preparing = None


def _begun(conversation: Conversation) -> Preparation | None:
    """The notes of this window that were begun. None if their event loop has ended."""
    begun = conversation.preparing
    if begun is None or begun.rewrites != conversation.history.rewrites:
        return None
    ended = begun.task.cancelled() or begun.task.get_loop() is not asyncio.get_running_loop()
    return None if ended and not begun.failed and not begun.notes else begun


def _begin(session: Session, fields: bytes, room: WindowBudget, matters: str = "") -> Preparation:
    conversation = session.conversation
    again = conversation.preparing is not None and conversation.preparing.failed
    stop_notes(conversation)
    task = asyncio.get_running_loop().create_task(take_notes(session, fields, room, matters))
    conversation.preparing = Preparation(task, conversation.history.rewrites, again)
    return conversation.preparing


async def take_notes(
    session: Session, fields: bytes, room: WindowBudget, matters: str = ""
) -> Noted:
    """Ask the model for notes of as much of the window as leaves it room to answer."""
    conversation = session.conversation
    mask = session.journal.record.mask
    question = asking(note_words(session, room), mask.text(matters)).wire
    entries = _answered(conversation, room.holds(0.95) - estimate(question))
    items = bytearray(b",".join([*(entry.item.wire for entry in entries), question]))
    noted = Noted(None, Usage(), "The window has no room for the question.")
    if entries:
        sample = session.seams.aside or session.seams.sample
        noted = await _ask(sample, Request.of(fields, items))
    told, usage = noted.notes and noted.notes.model_dump(), asdict(noted.usage)
    session.journal.write(NotesLine(entries=len(entries), usage=usage, notes=told))
    return noted


async def _ask(sample: Sample, request: Request) -> Noted:
    items: list[Item] = []
    usage = Usage()
    try:
        async with asyncio.timeout(NOTES_SECONDS), aclosing(sample(request)) as parts:
            async for part in parts:
                if isinstance(part, Item):
                    items.append(part)
                elif isinstance(part, ResponseDone | Counted) and part.usage:
                    usage = part.usage
    except ModelError as error:
        return Noted(None, usage, error.message)
    except TimeoutError:
        return NO_ANSWER._replace(usage=usage)
    notes = read_notes(items)
    return Noted(notes, usage, "" if notes else "The model's answer holds none.")


def _answered(conversation: Conversation, left: int) -> list[Entry]:
    """The window up to the model's last answer, or the `left` tokens of it that a server takes."""
    units = units_of(conversation.history.entries)
    while units and units[-1][0].kind != "model":
        units.pop()
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
    return ready.notes if ready and ready.rewrites == conversation.history.rewrites else None


def asking(words: int, matters: str = "") -> Message:
    """The item that asks for so many words of notes at most, after the conversation.

    `matters`: the person's words on what to keep.
    """
    text = (files("inkernel.agent.context") / "prompts" / "notes.md").read_text(encoding="utf-8")
    text = text.replace("{words}", f"{words:,}")
    return message("user", text_part(text + (WHAT_MATTERS.format(matters) if matters else "")))
