"""Measures searches for a cell run in a session of 10,000 runs.

The runs have about 1 KB. It builds the index, adds one run, and searches. Medians.
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
from inkernel.agent.conversation.validity import Validity
from inkernel.agent.protocol.cells import CellRun, ErrorOutput, StreamOutput
from inkernel.agent.protocol.record_lines import TurnLine
from inkernel.agent.search.index import Index
from inkernel.agent.search.ranking import Row
from inkernel.agent.tools.recall import Recall, recall_tool
from inkernel.agent.tools.tool import ToolCall

COUNT, TURNS, RUNS = 10_000, 1_000, 9
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


def write(record: Record, outputs: OutputStore, count: int) -> None:
    """The whole session."""
    chance = random.Random(1)
    for n in range(1, count + 1):
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


def measure(quick: bool) -> dict[str, float]:
    """Milliseconds of searches and calls of `recall`, and the index's seconds and MB."""
    count = 100 if quick else COUNT
    with tempfile.TemporaryDirectory() as folder:
        record = Record(Path(folder) / "session.jsonl")
        outputs = OutputStore(record)
        write(record, outputs, count)
        index = Index(record.path)
        started = time.perf_counter()
        index.turns()
        built = time.perf_counter() - started
        sizes = {"record MB": record.path.stat().st_size, "index MB": index.file.stat().st_size}

        more = run_number(count + 1, random.Random(2))
        caught_up = milliseconds(index.turns, lambda: outputs.keep_run("more", more))
        found = {
            what: milliseconds(lambda query=query: index.search(query, group, 11))
            for what, query in QUERIES.items()
        }
        median, worst = statistics.median(found.values()), max(found.values())
        within = milliseconds(lambda: index.search("tationTabl", group, 11))

        tool = recall_tool(outputs, record, 10_000, lambda: Validity(outputs.runs))
        for asked in ({"query": "frame_7007"}, {"cells": ["out-71–out-80"]}):
            ask = Recall.model_validate(asked)
            took = milliseconds(lambda ask=ask: asyncio.run(tool.run(ToolCall("call"), ask)))
            found[f"recall {asked}"] = took
        record.close()
    return {
        "build s": built,
        **{name: size / 1e6 for name, size in sizes.items()},
        "catch up": caught_up,
        "median": median,
        "worst": worst,
        "within a word": within,
        **found,
    }
