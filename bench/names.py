"""Measures a snapshot of 10,000 live names.

Of 100 names 82 are scalars, 16 small containers, one a function and one an instance. 50 more are
frames and arrays of 100,000 rows. Medians.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from inkernel.kernel_ext.values.fingerprint import fingerprint
from inkernel.kernel_ext.values.snapshot import snapshot

NAMES, RUNS, ROWS = 10_000, 30, 100_000


class Thing:
    """A class of the user."""

    def __init__(self, number: int) -> None:
        self.number, self.parts = number, [number]


def value(i: int) -> object:
    """The i-th of the values that are no frames or arrays."""
    match i % 20:
        case 0:
            return [i, i + 0.5, f"item {i}"]
        case 1:
            return {"id": i, "weight": i / 7, "name": f"name {i}"}
        case 2:
            return (i, f"pair {i}")
        case 3 if i % 100 == 3:
            return Thing(i)
        case 3 if i % 100 == 23:
            return lambda x=i: x
        case 3 if i % 100 == 43:
            return [[i], [i + 1]]
        case 4 | 5 | 6 | 7:
            return i / 3
        case 8 | 9 | 10 | 11:
            return f"text of number {i}"
        case _:
            return i * 1_000_003


def namespace(rows: int) -> dict[str, object]:
    """10,000 names."""
    held: dict[str, object] = {}
    for i in range(25):
        numbers = np.random.default_rng(i).random((rows, 4))
        table = pd.DataFrame(numbers, columns=list("abcd"))
        held |= {f"array_{i}": numbers.copy(), f"frame_{i}": table.assign(kind="x", n=i)}
    return held | {f"name_{i}": value(i) for i in range(NAMES - len(held))}


def timed(run: Callable[[], object], count: int) -> float:
    """The median of `count` runs, in milliseconds."""
    took: list[float] = []
    for _ in range(count):
        started = time.perf_counter()
        run()
        took.append((time.perf_counter() - started) * 1e3)
    return statistics.median(took)


def measure(quick: bool) -> dict[str, float]:
    """Milliseconds of a first look and of two new ones, and microseconds of a fingerprint."""
    names, runs = namespace(100 if quick else ROWS), 3 if quick else RUNS
    first = timed(lambda: snapshot(names, {}), 1 if quick else 5)
    told = snapshot(names, {})
    found = {"first": first, "nothing changed": timed(lambda: snapshot(names, told), runs)}
    for i in range(20, 520, 20):
        held = names[f"name_{i}"]
        assert isinstance(held, list)
        held.append(i)
    names |= {f"name_{i}": str(i) for i in range(4, 504, 20)}
    found["50 changed"] = timed(lambda: snapshot(names, told), runs)
    samples = {type(each).__name__: each for each in names.values()}
    for kind, each in samples.items():
        took = timed(lambda each=each: fingerprint(each), 10 * runs)
        found[f"fingerprint of a {kind} µs"] = 1e3 * took
    return found
