"""Measures a checkpoint: to take it, to keep it, and to undo with it.

Each namespace is made in a process of its own. The time to take one is the median of `TAKEN`. The
memory of the sleeping copy comes from the system: RSS counts shared pages in full, PSS by half.
Undo runs once, after one element was changed.
"""

import ctypes
import mmap
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from inkernel.kernel_ext.undo.checkpoint import Checkpoint, take

TAKEN = 7
GIGABYTE = 1 << 30
NO_HUGE_PAGES = 15


def empty(share: float) -> dict[str, Any]:
    """No names."""
    return {"changed": [1]}


def huge_pages(share: float) -> dict[str, Any]:
    """1 GB of numpy's, as numpy asks for memory."""
    return {"changed": np.ones(int(share * GIGABYTE) // 8)}


def small_pages(share: float) -> dict[str, Any]:
    """1 GB of numpy's, in pages of 4 KiB."""
    size = int(share * GIGABYTE)
    held = np.empty(size // 8)
    start = -(-held.__array_interface__["data"][0] // mmap.PAGESIZE) * mmap.PAGESIZE
    room = ctypes.c_size_t(size - mmap.PAGESIZE)
    assert ctypes.CDLL(None).madvise(ctypes.c_void_p(start), room, NO_HUGE_PAGES) == 0
    held[:] = 1
    return {"changed": held}


def array_400_mb(share: float) -> dict[str, Any]:
    """An array of 400 MB."""
    return {"changed": np.ones(int(share * 50_000_000))}


def small_objects(share: float) -> dict[str, Any]:
    """About 1 GB of dicts."""
    return {"changed": [{"id": i, "weight": i / 7} for i in range(int(share * 3_000_000))]}


def many_frames(share: float) -> dict[str, Any]:
    """100 frames of 10,000 rows, and 10,000 small values."""
    import pandas as pd

    numbers = np.ones((int(share * 10_000), 4))
    names: dict[str, Any] = {f"frame_{i}": pd.DataFrame(numbers.copy()) for i in range(100)}
    return names | {f"list_{i}": [i, str(i)] for i in range(10_000)} | {"changed": [1]}


MADE = (empty, array_400_mb, huge_pages, small_pages, small_objects, many_frames)


def resident(pid: int | str, what: str) -> float:
    """RSS or PSS of a process, MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024


def took_ms(run: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds, and the result."""
    started = time.perf_counter()
    value = run()
    return (time.perf_counter() - started) * 1e3, value


def figures_of(make: Callable[[float], dict[str, Any]], share: float) -> dict[str, float]:
    """One namespace's figures. Its process is its own."""
    names = make(share)
    taken: list[float] = []
    checkpoint: Checkpoint | None = None
    for _ in range(TAKEN):
        if checkpoint is not None:
            checkpoint.drop()
        ms, checkpoint = took_ms(lambda: take(names))
        taken.append(ms)
    assert checkpoint is not None and checkpoint.pid is not None
    time.sleep(0.5)
    memory = {f"{it} MB": resident(checkpoint.pid, it) for it in ("Rss", "Pss", "Private_Dirty")}
    names["changed"][0] = 5
    undo, restored = took_ms(lambda: checkpoint.restore(names, bool, seconds=120))
    assert [each.name for each in restored.changed_in_place] == ["changed"], restored
    assert names["changed"][0] != 5 and not restored.failed
    dropped, _ = took_ms(checkpoint.drop)
    return {
        "own MB": resident("self", "Rss"),
        "take": statistics.median(taken),
        "longest take": max(taken),
        **memory,
        "undo": undo,
        "drop": dropped,
    }


def measure(quick: bool) -> dict[str, float]:
    """Milliseconds to take, undo and drop, and MB, of each namespace."""
    share = 0.01 if quick else 1.0
    fresh = multiprocessing.get_context("spawn")
    found: dict[str, float] = {}
    for make in MADE:
        with ProcessPoolExecutor(1, mp_context=fresh) as alone:
            figures = alone.submit(figures_of, make, share).result()
        found |= {f"{make.__name__} {name}": it for name, it in figures.items()}
    return found
