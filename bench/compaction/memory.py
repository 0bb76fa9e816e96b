"""How much of the person's words and of all facts is left, by window and by how notes fare.

One session in four windows. In each, notes are good, stall, fail or are garbage. Beside ours are
truncation, and one summary that fares as the notes do. A fact is left if its exact text is there.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from inkernel.agent.compaction.note_taking import stop_notes
from inkernel.agent.conversation.history import Entry
from inkernel.agent.text.tokens import estimate

from .baselines import mechanical_summary, one_summary, truncated
from .needles import appended, text_of
from .notetaker import GARBAGE, NoteTaker, absent, garbage, good_notes, stalled
from .player import Model, Teller, played
from .story import Kind, Needle, Story, make_story

TURNS, QUICK_TURNS, CELLS = 100, 30, 4
WINDOWS = {"8k": 8_000, "16k": 16_000, "32k": 32_000, "128k": 128_000}
NOTES: dict[str, NoteTaker] = {
    "good": good_notes,
    "stalled": stalled,
    "absent": absent,
    "garbage": garbage,
}
BINDING: frozenset[Kind] = frozenset({"task", "rule of the person"})
"""Kinds that no compaction may leave out."""


def measure_memory(quick: bool) -> dict[str, Any]:
    """Every window with every kind of notes, all at once, since stalled notes only wait."""
    return asyncio.run(_measure(make_story(QUICK_TURNS if quick else TURNS, CELLS)))


async def _measure(story: Story) -> dict[str, Any]:
    runs = [(size, notes) for size in WINDOWS for notes in NOTES]
    found = await asyncio.gather(*(_run(story, size, notes) for size, notes in runs))
    return {"cells": story.cells, "facts": len(story.needles), "runs": found}


async def _run(story: Story, size: str, notes: str) -> dict[str, Any]:
    """One session. `binding`: the least share of the task and the rules so far, after any turn."""
    model, names, window = Model(NOTES[notes]), dict[str, Any](), WINDOWS[size]
    binding = [it for it in story.needles if it.kind in BINDING]
    decisions = [it for it in story.needles if it.kind == "decision of the person"]
    least, compactions = 1.0, 0
    with TemporaryDirectory(prefix="ink") as folder:
        session = played(Path(folder), model, window, names)
        teller = Teller(session, names, model)
        for number, turn in enumerate(story.turns, 1):
            compactions += len((await teller.tell(turn)).compactions)
            said = [it for it in binding if it.turn <= number]
            least = min(least, _share(said, session.conversation.history.entries))
        stop_notes(session.conversation)
        session.journal.record.close()
        entries = list(appended(session.journal.record.path))
    fixed = estimate(session.fields())
    windows = {
        "ours": session.conversation.history.entries,
        "summary": _summarised(entries, window, fixed, notes),
        "truncation": truncated(entries, window, fixed),
    }
    digest = session.conversation.digest
    return {
        "size": size,
        "notes": notes,
        "window": window,
        "compactions": compactions,
        "largest request": max(model.sizes),
        "asked for notes": model.notes,
        "binding": least,
        "digest": digest.text if digest else "",
        **{f"binding {way}": _share(binding, kept) for way, kept in windows.items()},
        **{f"decisions {way}": _share(decisions, kept) for way, kept in windows.items()},
        **{f"facts {way}": _share(story.needles, kept) for way, kept in windows.items()},
    }


def _summarised(entries: Sequence[Entry], window: int, fixed: int, notes: str) -> list[Entry]:
    """One summary. A client that gets none drops the oldest items instead."""
    match notes:
        case "good":
            return one_summary(entries, window, fixed, mechanical_summary)
        case "garbage":
            return one_summary(entries, window, fixed, lambda _items: GARBAGE)
        case _:
            return truncated(entries, window, fixed)


def _share(needles: Sequence[Needle], entries: Sequence[Entry]) -> float:
    """The part of these facts whose exact text is in the window."""
    text = text_of(entries)
    return sum(it.text in text for it in needles) / len(needles)
