"""Measures a trial run of `pass`, from the call to its report, beside what is live in the kernel.

Each kernel is a real ipykernel of its own. Medians. The first trial of a kernel also imports, so it
counts for nothing.
"""

import json
import statistics

from .kernel import printed, running

RUNS = 25
LIVE = {"nothing": 0.0, "1 GB": 1.0, "8 GB": 8.0}
"""Gigabytes of arrays that are live."""

READY = """
import json, os, time
import numpy as np
from inkernel.agent.protocol.trials import Cover, Walls
from inkernel.kernel_ext.sandbox.trial import run_trial
live = np.ones(int({gigabytes} * (1 << 30)) // 8)
walls = Walls(workspace=(os.getcwd(),))
async def took_ms():
    started = time.perf_counter()
    found = await run_trial(get_ipython(), "pass", Cover(walls=walls))
    took = (time.perf_counter() - started) * 1e3
    assert found.status == "ok" and not found.denied, found
    return took
"""
MEASURE = "print(json.dumps([await took_ms() for _ in range({runs})]))"


def measure(quick: bool) -> dict[str, float]:
    """Milliseconds of a trial: the median and the longest of each kernel."""
    share, runs = (0.01, 2) if quick else (1.0, RUNS)
    found: dict[str, float] = {}
    for name, gigabytes in LIVE.items():
        with running() as (_, client):
            printed(client, READY.format(gigabytes=gigabytes * share))
            first, *taken = json.loads(printed(client, MEASURE.format(runs=runs + 1)))
        found |= {name: statistics.median(taken), f"{name} longest": max(taken)}
        found[f"{name} first"] = first
    return found
