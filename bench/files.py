"""Measures the index of a folder with 1,000 pages of PDF: read anew, looked at again, searched.

The pages have 3 KB of text each, of words in the frequencies of a language. CPU time is that of
the process that reads documents. Medians, but for the first reading.
"""

import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from inkernel.agent.tools.files.found import search_index
from inkernel.agent.tools.files.index import index_path, opened_index
from inkernel.agent.tools.files.indexing import Indexer

FILES, PAGES, RUNS = 10, 100, 9
WORDS, LINES = 5_000, 38
QUERIES = ("word7 word70 word700", "word4999", "word1 word2 word3 word4 word5 word6")


def measure(quick: bool) -> dict[str, float]:
    """CPU and wall seconds of the first reading, milliseconds of a new look and of a search."""
    files, pages, runs = (1, 3, 1) if quick else (FILES, PAGES, RUNS)
    with tempfile.TemporaryDirectory(prefix="ink") as place:
        folder = Path(place, "documents")
        folder.mkdir()
        for number in range(files):
            write(folder / f"{number}.pdf", pages, random.Random(number))
        indexer = Indexer(folder, index_path(folder, Path(place, "cache")))
        before, started = _children(), time.perf_counter()
        read_all(indexer)
        wall = time.perf_counter() - started
        indexer.close()
        cpu = _children() - before
        again = _median(lambda: read_all(indexer), runs)
        with opened_index(indexer.index) as db:
            found = [_median(lambda it=it: search_index(db, [it], 8), runs) for it in QUERIES]
        size = indexer.index.stat().st_size / 1e6
    return {
        "pages": files * pages,
        "cpu s": cpu,
        "wall s": wall,
        "again": 1e3 * again,
        "search": 1e3 * statistics.median(found),
        "search worst": 1e3 * max(found),
        "MB": size,
    }


def write(path: Path, pages: int, chance: random.Random) -> None:
    """A PDF of so many pages."""
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path))
    weights = [1 / (rank + 1) for rank in range(WORDS)]
    for _ in range(pages):
        for line in range(LINES):
            words = chance.choices(range(WORDS), weights, k=11)
            canvas.drawString(40, 800 - 20 * line, " ".join(f"word{it}" for it in words))
        canvas.showPage()
    canvas.save()


def read_all(indexer: Indexer) -> None:
    """Bring the index up to date."""
    indexer.refresh()
    while indexer.state.waiting:
        time.sleep(0.005)


def _median(work: Callable[[], object], runs: int) -> float:
    taken: list[float] = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
