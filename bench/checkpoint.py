"""Measures a checkpoint: to take it, to keep it, and to undo with it. `python bench/checkpoint.py`.

Each namespace is made in a process of its own. The time to take one is the median of `TAKEN`; the
target is 50 ms. The memory of the sleeping copy comes from the system: RSS counts shared pages in
full, PSS by half. Undo runs once, after one element was changed.
"""

import ctypes
import mmap
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from inkernel.kernel_ext.undo.checkpoint import Checkpoint, take

TAKEN = 7
GIGABYTE = 1 << 30
TARGET_MS = 50.0
NO_HUGE_PAGES = 15


def empty() -> dict[str, Any]:
    """No names."""
    return {"changed": [1]}


def huge_pages() -> dict[str, Any]:
    """1 GB of numpy's, as numpy asks for memory."""
    return {"changed": np.ones(GIGABYTE // 8)}


def small_pages() -> dict[str, Any]:
    """1 GB of numpy's, in pages of 4 KiB."""
    held = np.empty(GIGABYTE // 8)
    start = -(-held.__array_interface__["data"][0] // mmap.PAGESIZE) * mmap.PAGESIZE
    room = ctypes.c_size_t(GIGABYTE - mmap.PAGESIZE)
    assert ctypes.CDLL(None).madvise(ctypes.c_void_p(start), room, NO_HUGE_PAGES) == 0
    held[:] = 1
    return {"changed": held}


def array_400_mb() -> dict[str, Any]:
    """An array of 400 MB."""
    return {"changed": np.ones(50_000_000)}


def small_objects() -> dict[str, Any]:
    """About 1 GB of dicts."""
    return {"changed": [{"id": i, "weight": i / 7} for i in range(3_000_000)]}


def many_frames() -> dict[str, Any]:
    """100 frames of 10,000 rows, and 10,000 small values."""
    import pandas as pd

    numbers = np.ones((10_000, 4))
    names: dict[str, Any] = {f"frame_{i}": pd.DataFrame(numbers.copy()) for i in range(100)}
    return names | {f"list_{i}": [i, str(i)] for i in range(10_000)} | {"changed": [1]}


def resident(pid: int | str, what: str) -> float:
    """RSS or PSS of a process, MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024


def took_ms(run: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds, and the result."""
    started = time.perf_counter()
    value = run()
    return (time.perf_counter() - started) * 1e3, value


def measure(make: Callable[[], dict[str, Any]]) -> None:
    """Print one namespace's figures."""
    names = make()
    taken: list[float] = []
    checkpoint: Checkpoint | None = None
    for _ in range(TAKEN):
        if checkpoint is not None:
            checkpoint.drop()
        ms, checkpoint = took_ms(lambda: take(names))
        taken.append(ms)
    assert checkpoint is not None and checkpoint.pid is not None
    time.sleep(0.5)
    rss, pss, own = (resident(checkpoint.pid, what) for what in ("Rss", "Pss", "Private_Dirty"))
    names["changed"][0] = 5
    undo, restored = took_ms(lambda: checkpoint.restore(names, bool, seconds=120))
    assert [each.name for each in restored.changed_in_place] == ["changed"], restored
    assert names["changed"][0] != 5 and not restored.failed
    dropped, _ = took_ms(checkpoint.drop)
    print(
        f"{make.__name__:14} {resident('self', 'Rss'):7.0f} MB"
        f"  take {statistics.median(taken):6.1f} ms (max {max(taken):6.1f})"
        f"  asleep: RSS {rss:6.0f}, PSS {pss:6.0f}, own {own:4.1f} MB"
        f"  undo {undo:8.0f} ms  drop {dropped:5.1f} ms"
    )


def main() -> None:
    """Print one line per namespace."""
    print(f"target of take: {TARGET_MS:.0f} ms; Python {sys.version.split()[0]}")
    fresh = multiprocessing.get_context("spawn")
    for make in (empty, array_400_mb, huge_pages, small_pages, small_objects, many_frames):
        process = fresh.Process(target=measure, args=(make,))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
