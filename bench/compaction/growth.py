"""Ten thousand cells: what a turn, a compaction, a search and a resume come to. No server.

The client's work alone: what the fake model does is taken off, and time is wall time. A request is
counted as a server would that counts like the engine's estimate, and none may exceed the window.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from inkernel.agent.events import Compacted
from inkernel.agent.outputs import Outputs
from inkernel.agent.record import Record
from inkernel.agent.resume import resume
from inkernel.agent.runs import Runs
from inkernel.agent.session import Session, conversation_of
from inkernel.agent.tokens import estimate
from inkernel.agent.tools import find
from inkernel.agent.tools.recall import Recall

from .notetaker import take_notes
from .player import Model, Teller, played
from .story import Turn, make_story

WINDOW = 32_000
TURNS, QUICK_TURNS, CELLS = 1_000, 100, 10
"""The person's cells are `CELLS` a turn; the model's step comes on top."""
ROUNDS = 7
"""Of each search and of resuming; the median counts."""
WORDS = 120
"""Of notes: enough to see that they stay."""

QUERIES = {
    "a frame": "faro_2007",
    "a value's sentence": "mean of lagos_2016",
    "a word of one run in six": "groupby",
    "two words of many runs": "quality copy",
    "an exception": "ZeroDivisionError",
    "a path": "/data/porto/2011",
    "a start of words": "mont",
    "a number": "14.25",
    "what was said": "neighbours by month Braga 2004",
    "no word of it": "nosuchword",
}


@dataclass(frozen=True)
class Timed:
    """A turn: the client's milliseconds, and the compactions in it."""

    ms: float
    compactions: Sequence[Compacted]


def measure_growth(quick: bool) -> dict[str, Any]:
    """Tell the turns, then search, then resume."""
    with TemporaryDirectory(prefix="ink") as folder:
        return asyncio.run(_measure(Path(folder), QUICK_TURNS if quick else TURNS))


async def _measure(folder: Path, turns: int) -> dict[str, Any]:
    story = make_story(turns, CELLS, figures=False, planted=False)
    model = Model(lambda items: take_notes(items[-40:], WORDS).as_json())
    names: dict[str, Any] = {}
    session = played(folder, model, WINDOW, names)
    timed = await _told(Teller(session, names, model), story.turns)
    digest = session.conversation.digest
    session.record.sync()
    found = {
        "turns": turns,
        "cells": story.cells,
        "window": WINDOW,
        "requests": len(model.sizes),
        "largest request": max(model.sizes),
        "digest tokens": estimate(digest.text) if digest else 0,
        "record MB": session.record.path.stat().st_size / 1e6,
        **_turns(timed),
        **await _searched(session),
        **_resumed(session),
    }
    session.record.close()
    return found


async def _told(teller: Teller, turns: Sequence[Turn]) -> list[Timed]:
    timed: list[Timed] = []
    for turn in turns:
        told = await teller.tell(turn)
        timed.append(Timed(told.seconds * 1e3, told.compactions))
    return timed


def _turns(timed: Sequence[Timed]) -> dict[str, Any]:
    """Milliseconds of turns, first and last tenth, and what the compactions did."""
    tenth = len(timed) // 10
    first, last = timed[:tenth], timed[-tenth:]
    made = [it for turn in timed for it in turn.compactions]
    return {
        "ms": {
            f"{name}, {kind}": _median(it.ms for it in part if bool(it.compactions) == compacts)
            for name, part in (("first", first), ("last", last))
            for kind, compacts in (("plain", False), ("compacting", True))
        },
        "compactions": [[it.before, it.after] for it in made],
        "compaction ms": _median(it.seconds * 1e3 for it in made),
        "notes": sorted({it.notes for it in made}),
    }


async def _searched(session: Session) -> dict[str, Any]:
    """Seconds to build the index, then milliseconds of each search, all of `recall` in it."""
    tool = find(session.tools, "recall")
    assert tool is not None
    started = time.perf_counter()
    await tool.run("call", Recall(query="first"))
    built = time.perf_counter() - started
    took: dict[str, float] = {}
    for what, query in QUERIES.items():
        times: list[float] = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            await tool.run("call", Recall(query=query))
            times.append((time.perf_counter() - started) * 1e3)
        took[what] = median(times)
    return {"index s": built, "search ms": took}


def _resumed(session: Session) -> dict[str, Any]:
    """Seconds until a session could go on, and whether it has the very window."""
    lived, path, times = session.conversation, session.record.path, list[float]()
    window = b""
    for _ in range(ROUNDS):
        started = time.perf_counter()
        found = resume(path)
        talk = conversation_of(found)
        Outputs(session.record, found.outputs, Runs(found.runs, found.ended))
        times.append(time.perf_counter() - started)
        window = bytes(talk.history.wire)
    return {"resume s": median(times), "resumed the same": window == bytes(lived.history.wire)}


def _median(values: Any) -> float | None:
    every = list(values)
    return median(every) if every else None
