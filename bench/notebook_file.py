"""Measures reads and edits of one cell in a large notebook file.

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

CELLS, QUICK_CELLS, OUTPUT, RUNS = 2_000, 50, 25_000, 9
WHICH = "cell-37"


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


def notebook(size: int) -> dict[str, Any]:
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
        for n in range(size)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def took(work: Callable[[], object]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def peak(work: Callable[[], object]) -> float:
    """The peak of Python's memory during the work, in MB above the level before."""
    tracemalloc.start()
    work()
    most = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return most


def figures_of(path: Path) -> dict[str, float]:
    """Milliseconds and MB of one file."""

    def read() -> object:
        return read_ipynb(path).cell(WHICH).source

    def edit() -> None:
        data = path.read_bytes()
        source = f"edited_at = {time.perf_counter()}"
        write_ipynb(path, data, edited_notebook(data, [Replace(WHICH, source)]))

    works: dict[str, Callable[[], object]] = {
        "read": read,
        "outputs": lambda: outputs(read_ipynb(path).cell(WHICH)),
        "list": lambda: [cell.source for cell in read_ipynb(path).cells],
        "edit": edit,
    }
    first = took(read)
    medians = {n: statistics.median(took(work) for _ in range(RUNS)) for n, work in works.items()}
    return {"first": first, **medians, "read MB": peak(read), "edit MB": peak(edit)}


def measure(quick: bool) -> dict[str, float]:
    """The figures of two layouts."""
    made = notebook(QUICK_CELLS if quick else CELLS)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.ipynb"
        for layout, indent in (("lines", 1), ("one line", None)):
            text = json.dumps(made, indent=indent, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8")
            found[f"{layout} MB"] = path.stat().st_size / 1e6
            found |= {f"{layout} {name}": it for name, it in figures_of(path).items()}
    return found
