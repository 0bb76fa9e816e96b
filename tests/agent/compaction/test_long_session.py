"""A long session with restarts and kills loses no cell, and never its task or a rule."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from bench.compaction.needles import text_of
from bench.compaction.notetaker import absent
from bench.compaction.player import Model, Teller, played
from bench.compaction.story import make_story
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.resume import resume
from inkernel.agent.conversation.runs import RunLog
from inkernel.agent.dialects.dialect import SamplePart
from inkernel.agent.dialects.request import Request

ROOT = Path(__file__).parents[3]
TURNS, CELLS, WINDOW = 40, 14, 16_000
PARTS = ((0, 8, "kill"), (8, 16, "end"), (16, 24, "kill"), (24, 32, "end"), (32, TURNS, "end"))
"""Each part runs in a process of its own, with a kernel of its own."""

STORY = make_story(TURNS, CELLS, figures=False)
BINDING = [it.text for it in STORY.needles if it.kind in ("task", "rule of the person")]


class Mortal(Model):
    """A model without notes. `dies`: the process ends at once in the next sample."""

    dies = False

    async def sample(self, request: Request) -> AsyncGenerator[SamplePart]:
        if self.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        async for part in super().sample(request):
            yield part


async def play_part(folder: Path, first: int, last: int, how: str) -> None:
    model = Mortal(absent)
    session = played(folder, model, WINDOW, names := {})
    teller = Teller(session, names, model, kernel=f"kernel-{first}")
    for number in range(first, last):
        await teller.tell(STORY.turns[number])
        text = text_of(session.conversation.history.entries)
        said = {it.text for it in STORY.needles if it.turn <= number + 1 and it.text in BINDING}
        assert all(words in text for words in said), number
    if how == "kill" and last < TURNS:
        model.dies = True
        await teller.tell(STORY.turns[last])
    session.journal.record.close()


def test_after_two_kills_and_two_restarts_every_cell_and_every_rule_is_there(tmp_path: Path):
    for first, last, how in PARTS:
        code = (
            "import asyncio; from pathlib import Path;"
            "from tests.agent.compaction.test_long_session import play_part;"
            f"asyncio.run(play_part(Path({str(tmp_path)!r}), {first}, {last}, {how!r}))"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True)
        expected = -signal.SIGKILL if how == "kill" else 0
        assert done.returncode == expected, done.stderr.decode()
    path = tmp_path / "session.jsonl"
    found = resume(path)
    assert not found.lost and not found.missing
    assert found.conversation.turns == TURNS + 2  # two were said again after a kill
    text = text_of(found.conversation.history.entries)
    assert len(BINDING) == 11 and all(words in text for words in BINDING)
    record = Record(path)
    store = OutputStore(record, found.outputs, RunLog(found.runs, found.ended))
    kept = {head.handle: store.lines(head.handle).text for head in found.runs}
    record.close()
    sources = {run.source for turn in STORY.turns for run in turn.steps}
    sources |= {cell.run.source for turn in STORY.turns for cell in turn.cells}
    whole = "\n".join(kept.values())
    assert len(kept) >= STORY.cells == 600 and all(source in whole for source in sources)
