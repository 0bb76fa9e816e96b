"""Measures a week with one session: kills and restarts, and then, is every cell and rule there?

Each part runs in a process of its own, with a kernel of its own. A kill comes within a sample.
There are no notes, so the digest alone holds what the window has of the past.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from inkernel.agent.conversation.history import Entry
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.resume import Resumed, resume
from inkernel.agent.conversation.runs import RunLog
from inkernel.agent.dialects.dialect import SamplePart
from inkernel.agent.dialects.request import Request

from .needles import text_of
from .notetaker import absent
from .player import Model, Teller, played
from .story import Story, make_story

ROOT = Path(__file__).parents[2]
PARTS = 5
KILLED = (0, 2)
"""The parts that end by a kill. The others end as a kernel that is shut down."""
BINDING = ("task", "rule of the person")


@dataclass(frozen=True)
class Week:
    """So many turns, each with so many cells of the person's. `window`: of the model, in tokens."""

    turns: int = 200
    cells: int = 14
    window: int = 16_000

    @cached_property
    def story(self) -> Story:
        """All that happens in it."""
        return make_story(self.turns, self.cells, figures=False)

    def span(self, part: int) -> range:
        """The turns of a part."""
        each = self.turns // PARTS
        return range(part * each, self.turns if part == PARTS - 1 else (part + 1) * each)

    def binding(self, turns: int) -> list[str]:
        """The task and the rules that were said in the first so many turns."""
        return [it.text for it in self.story.needles if it.kind in BINDING and it.turn <= turns]


QUICK = Week(turns=40)


@dataclass(frozen=True)
class Lived:
    """The remains of a week. `binding`: the least share of task and rules after any turn.

    `resumed`: from the record. `seconds`: that took. `missing`: sources of cells that no run has.
    """

    resumed: Resumed
    record: Path
    binding: float
    largest: int
    compactions: int
    seconds: float
    missing: tuple[str, ...]


class Mortal(Model):
    """A model without notes. `dies`: the process ends at once in the next sample."""

    dies = False

    async def sample(self, request: Request) -> AsyncGenerator[SamplePart]:
        """One response, or the end."""
        if self.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        async for part in super().sample(request):
            yield part


def live(folder: Path, week: Week) -> Lived:
    """Play all parts, one after the other, and look at the record. Raises AssertionError."""
    reports = [_part(folder, week, part) for part in range(PARTS)]
    began, path = time.perf_counter(), folder / "session.jsonl"
    found = resume(path)
    seconds = time.perf_counter() - began
    left = _share(week.binding(week.turns), found.conversation.history.entries)
    return Lived(
        resumed=found,
        record=path,
        binding=min(left, *(it["binding"] for it in reports)),
        largest=int(max(it["largest"] for it in reports)),
        compactions=int(sum(it["compactions"] for it in reports)),
        seconds=seconds,
        missing=tuple(_missing(week, path, found)),
    )


def measure(quick: bool) -> dict[str, float]:
    """The figures of the page."""
    week = QUICK if quick else Week()
    with TemporaryDirectory(prefix="ink") as folder:
        lived = live(Path(folder), week)
        return {
            "cells": week.story.cells,
            "turns": week.turns,
            "kills": len(KILLED),
            "restarts": PARTS - 1,
            "rules": len(week.binding(week.turns)),
            "binding": lived.binding,
            "kept": len(lived.resumed.runs),
            "missing": len(lived.missing),
            "lines lost": len(lived.resumed.lost),
            "largest": lived.largest,
            "window": week.window,
            "compactions": lived.compactions,
            "resume s": lived.seconds,
            "MB": lived.record.stat().st_size / 1e6,
        }


async def play(folder: Path, week: Week, part: int) -> dict[str, float]:
    """Play one part. Before a kill, what there is to report is printed."""
    model = Mortal(absent)
    session = played(folder, model, week.window, names := {})
    teller, span = Teller(session, names, model, kernel=f"kernel-{part}"), week.span(part)
    report = {"binding": 1.0, "compactions": 0.0}
    for number in span:
        told = await teller.tell(week.story.turns[number])
        share = _share(week.binding(number + 1), session.conversation.history.entries)
        report["binding"] = min(report["binding"], share)
        report["compactions"] += len(told.compactions)
    report["largest"] = max(model.sizes)
    print(json.dumps(report), flush=True)
    if part in KILLED:
        model.dies = True
        await teller.tell(week.story.turns[span.stop])
    session.journal.record.close()
    return report


def _part(folder: Path, week: Week, part: int) -> dict[str, float]:
    """The report of a part, which runs in a process of its own."""
    code = (
        "import asyncio; from pathlib import Path; from bench.compaction.week import Week, play;"
        f"asyncio.run(play(Path({str(folder)!r}), Week(**{asdict(week)!r}), {part}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    expected = -signal.SIGKILL if part in KILLED else 0
    assert done.returncode == expected, done.stderr
    return json.loads(done.stdout)


def _share(words: list[str], entries: Iterable[Entry]) -> float:
    text = text_of(list(entries))
    return sum(it in text for it in words) / max(1, len(words))


def _missing(week: Week, path: Path, found: Resumed) -> Iterable[str]:
    """The sources of cells and steps that no run of the record holds."""
    record = Record(path)
    store = OutputStore(record, found.outputs, RunLog(found.runs, found.ended))
    whole = "\n".join(store.lines(head.handle).text for head in found.runs)
    record.close()
    for turn in week.story.turns:
        for source in (*(it.run.source for it in turn.cells), *(it.source for it in turn.steps)):
            if source not in whole:
                yield source
