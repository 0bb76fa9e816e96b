"""Measures a session of thousands of cells: does a turn's work stay equal, does all still fit?

The user runs ten cells a turn, and the model one step. There is no server: it times the client.
"""

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from inkernel.agent.conversation.resume import resume
from inkernel.agent.protocol.observed import Variable
from inkernel.agent.session import Session
from inkernel.agent.tools.recall import Recall
from inkernel.agent.tools.tool import ToolCall, find_tool

from .cells_made import a_cell
from .notetaker import good_notes
from .player import Model, Teller, played
from .story import Cell, Turn

CELLS, WINDOW = 10, 32_000
QUERIES = ("mean of faro_2004", "KeyError lagos_2010", "read_parquet porto_2012", "wet", "summary")
RUNS = 5


def measure_growth(turns: int) -> dict[str, Any]:
    """A session of so many turns, then a search in it and a resume."""
    with TemporaryDirectory(prefix="ink") as folder:
        return asyncio.run(_measure(Path(folder), turns))


def a_turn(number: int, chance: Random) -> Turn:
    """Ten cells, a few words, one step, an answer."""
    cells = tuple(Cell(f"cell-{number}-{n}", a_cell(chance)) for n in range(CELLS))
    step = (a_cell(chance),)
    return Turn(cells, f"Turn {number}. Go on with the next gauge.", step, f"Done: gauge {number}.")


async def _measure(folder: Path, turns: int) -> dict[str, Any]:
    chance = Random(7)
    model = Model(good_notes)
    story = [a_turn(number, chance) for number in range(1, turns + 1)]
    names = dict(_names(story))  # from the start, so that nothing grows but the session
    session = played(folder, model, WINDOW, names)
    teller = Teller(session, names, model)
    seconds: list[float] = []
    compacted: list[tuple[int, int, int]] = []
    for number, turn in enumerate(story, 1):
        told = await teller.tell(turn)
        seconds.append(told.seconds)
        compacted += [(number, it.before, it.after) for it in told.compactions]
    searches = await _searches(session)
    session.journal.record.close()
    began = time.perf_counter()
    found = resume(session.journal.record.path)
    took = time.perf_counter() - began
    assert bytes(found.conversation.history.wire) == bytes(session.conversation.history.wire)
    digest = session.conversation.digest
    return {
        "turns": turns,
        "cells": turns * (CELLS + 1),
        "window": WINDOW,
        "largest request": max(model.sizes),
        "compactions": compacted,
        "ms of a turn": _tenths(seconds, {number for number, *_ in compacted}),
        "digest bytes": len(digest.text) if digest else 0,
        "search ms": searches,
        "resume s": took,
        "record MB": session.journal.record.path.stat().st_size / 1e6,
        "names": len(names),
    }


def _names(story: Sequence[Turn]) -> Iterator[tuple[str, Variable]]:
    """All names that are ever bound."""
    for turn in story:
        for run in (*(cell.run for cell in turn.cells), *turn.steps):
            for name in run.bound:
                yield name, Variable(name, f"{name}: DataFrame (365, 4)", "0:0")


def _tenths(seconds: Sequence[float], compacting: set[int]) -> dict[str, float]:
    """For the first and the last tenth: the median without compactions, and the mean with them."""
    tenth = max(1, len(seconds) // 10)
    numbered = list(enumerate(seconds, 1))
    found: dict[str, float] = {}
    for name, part in (("first", numbered[:tenth]), ("last", numbered[-tenth:])):
        plain = [took for number, took in part if number not in compacting]
        found[f"{name} tenth, median"] = 1e3 * statistics.median(plain or [0.0])
        found[f"{name} tenth, mean with compactions"] = 1e3 * statistics.fmean(
            [took for _, took in part]
        )
    return found


async def _searches(session: Session) -> dict[str, float]:
    """Milliseconds of `recall` by query, once its index is current."""
    tool = find_tool(session.tools, "recall")
    assert tool is not None
    began = time.perf_counter()
    await tool.run(ToolCall("call"), Recall(query="anything"))
    build = time.perf_counter() - began
    times: list[float] = []
    for query in QUERIES:
        some: list[float] = []
        for _ in range(RUNS):
            began = time.perf_counter()
            await tool.run(ToolCall("call"), Recall(query=query))
            some.append(1e3 * (time.perf_counter() - began))
        times.append(statistics.median(some))
    return {"build s": build, "median": statistics.median(times), "worst": max(times)}
