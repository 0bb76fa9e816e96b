"""Measures searches for a cell run in a session of 10,000 runs. `python bench/recall.py`.

The runs have about 1 KB. It builds the index, adds one run, and searches. Prints medians.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.search_index import Index, Row
from inkernel.agent.conversation.validity import Validity
from inkernel.agent.protocol.cells import CellRun, ErrorOutput, StreamOutput
from inkernel.agent.protocol.record_lines import TurnLine
from inkernel.agent.tools.recall import Recall, recall_tool
from inkernel.agent.tools.tool import ToolCall

COUNT, TURNS, RUNS = 10_000, 1_000, 9
TARGET_MS = 10
TOPICS, PARTS = ("rain", "wind", "snow", "sun"), ("day", "year", "mean", "max", "sum", "table")
WORDS = [f"{topic}{sign}{part}" for topic in TOPICS for sign in ("_", "by") for part in PARTS]
QUERIES = {
    "a name that one run has": "frame_7007",
    "a number": "7007.25",
    "a path": "/data/rain/2024-77.csv",
    "an error": "KeyError: 'mm_70'",
    "a word of every run": "pandas",
    "four words of every run": "import pandas as pd",
    "a beginning of many words": "ra",
    "one rare word, others common": "pandas nosuchword frame_7007",
    "no word at all": "nosuchword",
}


def run_number(n: int, chance: random.Random) -> CellRun:
    """A run that reads a file and prints a table. Every tenth run fails."""
    names = chance.choices(WORDS, k=12)
    code = "".join(f"{name} = frame_{n}.groupby('{name}').agg(mean)\n" for name in names[:6])
    source = (
        f"import pandas as pd\nframe_{n} = pd.read_csv('/data/rain/2024-{n % 100}.csv')\n{code}"
    )
    table = "".join(f"{row} {name} {chance.random():.4f}\n" for row, name in enumerate(names))
    outputs = [StreamOutput(name="stdout", text=f"{table}{n}.25\n")]
    if n % 10:
        return CellRun(source=source, status="ok", outputs=tuple(outputs), bound=(f"frame_{n}",))
    error = ErrorOutput(ename="KeyError", evalue=f"'mm_{n % 1000}'", traceback=())
    return CellRun(source=source, status="error", outputs=(*outputs, error))


def write(record: Record, outputs: OutputStore) -> None:
    """The whole session."""
    chance = random.Random(1)
    for n in range(1, COUNT + 1):
        turn = 1 + n * TURNS // COUNT
        if n % (COUNT // TURNS) == 0:
            said = f"Look at year {turn}."
            record.append(TurnLine(turn=turn, cell="cell", count=None, said=said))
        outputs.begin(turn, "cell")
        outputs.keep_run(f"call_{n}", run_number(n, chance))


def milliseconds(work: Callable[[], object], before: Callable[[], object] = int) -> float:
    """The median of some runs; `before` each of them, unmeasured."""
    times: list[float] = []
    for _ in range(RUNS):
        before()
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


def group(row: Row) -> str:
    """A group of its own for every row."""
    return str(row.at)


def main() -> None:
    """Write, build, catch up, search."""
    with tempfile.TemporaryDirectory() as folder:
        record = Record(Path(folder) / "session.jsonl")
        outputs = OutputStore(record)
        write(record, outputs)
        index = Index(record.path)
        started = time.perf_counter()
        index.turns()
        took = time.perf_counter() - started
        size, made = record.path.stat().st_size / 1e6, index.file.stat().st_size / 1e6
        print(f"build from {COUNT:,} runs, {size:.0f} MB: {took:.1f} s, {made:.0f} MB")

        more = run_number(COUNT + 1, random.Random(2))
        took = milliseconds(index.turns, lambda: outputs.keep_run("more", more))
        print(f"catch up with one run: {took:.1f} ms")

        found = {
            what: milliseconds(lambda query=query: index.search(query, group, 11))
            for what, query in QUERIES.items()
        }
        for what, took in found.items():
            print(f"  {what}, {QUERIES[what]!r}: {took:.1f} ms")
        median, worst = statistics.median(found.values()), max(found.values())
        print(f"search: median {median:.1f} ms, worst {worst:.1f} ms (target {TARGET_MS})")
        took = milliseconds(lambda: index.search("tationTabl", group, 11))
        print(f"search for what is within a word only: {took:.1f} ms")

        tool = recall_tool(outputs, record, 10_000, lambda: Validity(outputs.runs))
        for asked in ({"query": "frame_7007"}, {"cells": ["out-7001–out-7010"]}):
            ask = Recall.model_validate(asked)
            took = milliseconds(lambda ask=ask: asyncio.run(tool.run(ToolCall("call"), ask)))
            print(f"recall {asked}: {took:.1f} ms")
        record.close()


if __name__ == "__main__":
    main()
