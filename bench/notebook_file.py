"""Measures reads and edits of one cell in a large notebook file. `python bench/notebook_file.py`.

The file has 2,000 cells with 50 MB of outputs: printed lines, images, tables of HTML. It reads one
cell, lists all sources, and edits one cell and writes. It measures Jupyter's layout, and a file
on one line. Prints medians.
"""

import base64
import json
import random
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inkernel.kernel_ext.notebook.file.edits import Replace, edited_notebook
from inkernel.kernel_ext.notebook.file.ipynb import outputs, read_ipynb, write_ipynb

CELLS, OUTPUT, RUNS = 2_000, 25_000, 9
TARGET_MS = 100
WHICH = "cell-1414"


def output(n: int, chance: random.Random) -> dict[str, Any]:
    """One of 25 KB: lines, an image, or a table."""
    if n % 3 == 0:
        lines = [f"{row} {chance.random():.6f} rain é\n" for row in range(OUTPUT // 32)]
        return {"name": "stdout", "output_type": "stream", "text": lines}
    if n % 3 == 1:
        shown: Any = {"image/png": base64.b64encode(chance.randbytes(OUTPUT * 3 // 4)).decode()}
    else:
        cell = '   <td class="rain">{:.4f}</td>\n'
        shown = {"text/html": [cell.format(chance.random()) for _ in range(OUTPUT // 45)]}
    return {"data": shown, "metadata": {}, "output_type": "display_data"}


def notebook() -> dict[str, Any]:
    """The whole notebook, as JSON values."""
    chance = random.Random(1)
    cells = [
        {
            "cell_type": "code",
            "execution_count": n,
            "id": f"cell-{n}",
            "metadata": {},
            "outputs": [output(n, chance)],
            "source": [f"table_{n} = frame.groupby('day').mean()\n", f"table_{n}.plot()"],
        }
        for n in range(CELLS)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def times(work: Callable[[], object]) -> list[float]:
    """Milliseconds of some runs."""
    taken: list[float] = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1e3)
    return taken


def peak(work: Callable[[], object]) -> float:
    """The peak of Python's memory during the work, in MB above the level before."""
    tracemalloc.start()
    work()
    most = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return most


def measure(path: Path) -> None:
    """Print the figures for one file."""

    def edit() -> None:
        data = path.read_bytes()
        source = f"edited_at = {time.perf_counter()}"
        write_ipynb(path, data, edited_notebook(data, [Replace(WHICH, source)]))

    first, *more = times(lambda: read_ipynb(path).cell(WHICH).source)
    median = statistics.median(more)
    print(f"  read one cell: {first:.0f} ms at first, then {median:.0f} (target {TARGET_MS})")
    for what, work in {
        "read it with its outputs": lambda: outputs(read_ipynb(path).cell(WHICH)),
        "list all sources": lambda: [cell.source for cell in read_ipynb(path).cells],
        "edit one cell and write": edit,
    }.items():
        print(f"  {what}: {statistics.median(times(work)):.0f} ms")
    read = peak(lambda: read_ipynb(path).cell(WHICH).source)
    print(f"  peak, the file's bytes included: {read:.0f} MB to read, {peak(edit):.0f} MB to edit")


def main() -> None:
    """Write the notebook in two layouts, and measure both."""
    made = notebook()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.ipynb"
        for layout, indent in (("as Jupyter writes it", 1), ("on one line", None)):
            text = json.dumps(made, indent=indent, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8")
            print(f"{CELLS:,} cells, {path.stat().st_size / 1e6:.0f} MB, {layout}:")
            measure(path)


if __name__ == "__main__":
    main()
