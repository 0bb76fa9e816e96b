"""Measures the time that the log of user cells adds to a cell, and to a print. `make bench`.

Cells run alternately without and with the log, in a shell with 10,000 live names. They print to
memory. Prints medians, and the median of the differences. The target is 1 ms a cell.
"""

import io
import statistics
import sys
import time

from IPython.core.interactiveshell import InteractiveShell

from inkernel.kernel_ext.user_cells.log import UserCellLog

NAMES = 10_000
RUNS = 300
PRINTS = 20_000
TARGET_MS = 1

CELLS = {
    "x = 1": "x = 1",
    "five lines, six live names": (
        "total = sum(name_1) + len(name_2)\nname_3.append(total)\n"
        "table = {n: str(n) for n in name_4}\nname_5 = name_6 * 2\nprint(total)"
    ),
    "one that deletes a name": "fleeting = 1\ndel fleeting, name_7; name_7 = [7]",
    "a dataframe of 10,000 rows": "mean = frame.a.mean()\nframe['b'] = frame.a - mean",
}


def main() -> None:
    """Print one line per figure."""
    shell = InteractiveShell.instance()
    shell.user_ns.update({f"name_{n}": [n, n + 1] for n in range(NAMES)})
    try:
        import numpy
        import pandas
    except ImportError:
        del CELLS["a dataframe of 10,000 rows"]
    else:
        shell.user_ns["frame"] = pandas.DataFrame({"a": numpy.arange(10_000.0)})
    log = UserCellLog()
    for name, source in CELLS.items():
        medians = [1_000 * each for each in alternate(log, shell, source, RUNS)]
        tell(f"{name}, ms", medians, f"  (target {TARGET_MS})")
    source = f"for _ in range({PRINTS}): print('a line of some length')"
    tell("a print, µs", [1e6 * each / PRINTS for each in alternate(log, shell, source, 25)])


def alternate(log: UserCellLog, shell: InteractiveShell, source: str, runs: int) -> list[float]:
    """Median seconds without and with the log, and of the difference."""
    pairs = []
    for n in range(runs + 1):
        pair = {}
        for logged in (n % 2 == 0, n % 2 == 1):
            if logged:
                log.attach(shell)
            pair[logged] = seconds(shell, source)
            log.detach()
        pairs.append((pair[False], pair[True], pair[True] - pair[False]))
    return [statistics.median(each) for each in zip(*pairs[1:], strict=True)]


def seconds(shell: InteractiveShell, source: str) -> float:
    """Seconds of one cell."""
    sys.stdout, before = io.StringIO(), sys.stdout
    started = time.perf_counter()
    shell.run_cell(source, store_history=True)
    took = time.perf_counter() - started
    sys.stdout = before
    return took


def tell(name: str, medians: list[float], target: str = "") -> None:
    """One line."""
    without, with_log, more = medians
    print(f"{name:32} without {without:7.3f}  with {with_log:7.3f}  more {more:7.3f}{target}")


if __name__ == "__main__":
    main()
