"""Measures what `%load_ext inkernel` and the first `%%agent` add to a bare kernel. `make bench`.

Each run is a new process with ipykernel's own shell in the state before the first cell. Prints
medians over the runs. The target is 150 ms.
"""

import json
import statistics
import subprocess
import sys

RUNS = 15
TARGET_MS = 150

PROBE = """
import json, resource, sys, time
from ipykernel.zmqshell import ZMQInteractiveShell
shell = ZMQInteractiveShell.instance()
shell.run_cell("import os", store_history=False)
modules = len(sys.modules)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
shell.run_line_magic("load_ext", "inkernel")
took = time.perf_counter() - started
more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
loaded = len(sys.modules) - modules
started = time.perf_counter()
import inkernel.kernel_ext.host
first = time.perf_counter() - started
print(json.dumps({
    "load_ext, ms": took * 1000,
    "load_ext, modules": loaded,
    "load_ext, MB": more / 1024,
    "imports of the first %%agent, ms": first * 1000,
}))
"""


def main() -> None:
    """Print one line per figure."""
    runs = []
    for _ in range(RUNS + 1):
        probe = [sys.executable, "-c", PROBE]
        out = subprocess.run(probe, capture_output=True, text=True, check=True).stdout
        runs.append(json.loads(out.splitlines()[-1]))
    for figure in runs[0]:
        values = [run[figure] for run in runs[1:]]  # the first run warms the disk cache
        low, mid, high = min(values), statistics.median(values), max(values)
        target = f"  (target {TARGET_MS})" if figure == "load_ext, ms" else ""
        print(f"{figure:33} median {mid:7.1f}  min {low:7.1f}  max {high:7.1f}{target}")


if __name__ == "__main__":
    main()
