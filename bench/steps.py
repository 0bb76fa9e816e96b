"""Measures a step that does nothing in a real kernel: `a = 1`, with view, record and undo.

A canned model asks for it again and again (`bench/wire/`). A step's time is the whole time between
a response and the next request. Beside it: the bare cell, and tool calls from code. Medians.
"""

import json
import tempfile
from pathlib import Path
from statistics import median

from .kernel import printed, running
from .wire.cases import TRANSPORTS
from .wire.figures import drift, turnaround
from .wire.measure import Case, measure_cases, serving

STEPS, CALLS, RUNS = 200, 100, 9
VIEWS = ("live", "headless")

TIMED = """
import statistics, time
def timed(run):
    started = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - started)
def cell():
    get_ipython().run_cell("a = 1", store_history=True)
print(statistics.median(timed(cell) for _ in range({steps})))
"""
CALLING = """
import statistics, time
ms = []
for _ in range({runs}):
    started = time.perf_counter()
    for n in range({calls}):
        await agent_tools.inspect(names=["n"])
    ms.append(1e3 * (time.perf_counter() - started))
"""
SCRIPT = """
[[turn]]
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
arguments = {{ title = "Call", code = {code} }}
[[turn.response]]
say = "Done."
"""


def measure(quick: bool) -> dict[str, float]:
    """Milliseconds of a step, a cell and the calls, and a step's last tenth over its first."""
    steps, rounds = (20, 1) if quick else (STEPS, 3)
    plan = f"steps.{steps}"
    cases = {
        f"{view} {transport}": Case("kernel", transport, plan, view, rounds)
        for transport in TRANSPORTS
        for view in VIEWS
    }
    with serving() as bench:
        results = measure_cases(bench, list(cases.values()))
    seen = {name: runs for name, case in cases.items() if (runs := results[case.key])}
    return {
        **{name: median(map(turnaround, runs)) for name, runs in seen.items()},
        **{f"{name} drift": median(map(drift, runs)) for name, runs in seen.items()},
        **inside(steps, 1 if quick else RUNS),
    }


def inside(steps: int, runs: int) -> dict[str, float]:
    """Milliseconds of the bare cell `a = 1`, and of a hundred tool calls from a step's code."""
    code = json.dumps(CALLING.format(runs=runs, calls=CALLS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.toml"
        path.write_text(SCRIPT.format(code=code), encoding="utf-8")
        with running(INKERNEL_MODEL=f"scripted:{path}") as (_, client):
            cell = printed(client, TIMED.format(steps=steps))
            printed(client, "%load_ext inkernel")
            printed(client, "%%agent\nGo.")
            calls = printed(client, "print(statistics.median(ms))")
    return {"cell": float(cell), "calls": float(calls)}
