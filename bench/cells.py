"""Measures the time that the log of user cells adds to a cell, and to a print.

Cells run alternately without and with the log, in a shell with 10,000 live names, on an event
loop as in a kernel. They print to memory. Each logged run goes to a session's record, after the
cell: that is counted by itself. Medians, and the median of the differences.
"""

import asyncio
import io
import statistics
import sys
import tempfile
import time

from IPython.core.interactiveshell import InteractiveShell

from inkernel.agent.transport.client import Client
from inkernel.kernel_ext.connections import UNASKED
from inkernel.kernel_ext.host import KernelAgent
from inkernel.kernel_ext.user_cells.log import UserCellLog

NAMES = 10_000
RUNS = 300
PRINTS = 20_000

CELLS = {
    "x = 1": "x = 1",
    "five lines, six live names": (
        "total = sum(name_1) + len(name_2)\nname_3.append(total)\n"
        "table = {n: str(n) for n in name_4}\nname_5 = name_6 * 2\nprint(total)"
    ),
    "one that deletes a name": "fleeting = 1\ndel fleeting, name_7; name_7 = [7]",
    "a dataframe of 10,000 rows": "mean = frame.a.mean()\nframe['b'] = frame.a - mean",
}


def measure(quick: bool) -> dict[str, float]:
    """Milliseconds of each cell without and with the log, and the least and the most added."""
    import numpy
    import pandas

    shell = InteractiveShell.instance()
    shell.user_ns.update({f"name_{n}": [n, n + 1] for n in range(NAMES)})
    shell.user_ns["frame"] = pandas.DataFrame({"a": numpy.arange(10_000.0)})
    log = UserCellLog()
    with tempfile.TemporaryDirectory(prefix="ink") as folder:
        agent = KernelAgent(shell, log)
        settings = agent.choose({"data_dir": folder}).settings
        agent.session(settings, Client(UNASKED, settings))  # it opens the record
        found = asyncio.run(_measured(log, shell, quick))
        agent.close()
    return found


async def _measured(log: UserCellLog, shell: InteractiveShell, quick: bool) -> dict[str, float]:
    runs, prints = (3, 100) if quick else (RUNS, PRINTS)
    found: dict[str, float] = {}
    added: list[float] = []
    later: list[float] = []
    for name, source in CELLS.items():
        taken = await alternate(log, shell, source, runs)
        without, with_log, more, after = (1e3 * it for it in taken)
        found |= {f"{name}, without": without, f"{name}, with": with_log}
        added.append(more)
        later.append(after)
    source = f"for _ in range({prints}): print('a line of some length')"
    more = 1e6 / prints * (await alternate(log, shell, source, 3 if quick else 25))[2]
    most = {"least": min(added), "most": max(added), "most later": max(later)}
    return {**found, **most, "a print µs": more}


async def alternate(
    log: UserCellLog, shell: InteractiveShell, source: str, runs: int
) -> list[float]:
    """Median seconds without and with the log, of the difference, and after a cell with it."""
    pairs = []
    for n in range(runs + 1):
        pair, later = {}, 0.0
        for logged in (n % 2 == 0, n % 2 == 1):
            if logged:
                log.attach(shell)
            pair[logged] = await seconds(shell, source)
            started = time.perf_counter()
            await asyncio.sleep(0)
            later = time.perf_counter() - started if logged else later
            log.detach()
        pairs.append((pair[False], pair[True], pair[True] - pair[False], later))
    return [statistics.median(each) for each in zip(*pairs[1:], strict=True)]


async def seconds(shell: InteractiveShell, source: str) -> float:
    """Seconds of one cell."""
    code = shell.transform_cell(source)
    sys.stdout, before = io.StringIO(), sys.stdout
    started = time.perf_counter()
    result = await shell.run_cell_async(source, store_history=True, transformed_cell=code)
    shell.events.trigger("post_run_cell", result)  # as a kernel does
    took = time.perf_counter() - started
    sys.stdout = before
    return took
