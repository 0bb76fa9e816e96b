"""Measures what `%load_ext inkernel` and the first `%%agent` add to a bare kernel.

Each run is a new process with ipykernel's own shell in the state before the first cell. Medians.
"""

import json
import os
import statistics
import subprocess
import sys

RUNS = 15

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
magic = shell.magics_manager.magics["cell"]["agent"].__self__
started = time.perf_counter()
magic.agent
import inkernel.agent.transport.http
first = time.perf_counter() - started
print(json.dumps({
    "load_ext ms": took * 1000,
    "load_ext modules": loaded,
    "load_ext MB": more / 1024,
    "first imports ms": first * 1000,
}))
"""


def measure(quick: bool) -> dict[str, float]:
    """Milliseconds, modules and MB of the extension, and milliseconds of the first imports.

    These are of a turn over HTTP. One over a WebSocket imports websockets in the place of httpx.
    """
    runs = []
    # As pip leaves a package: its modules are compiled.
    environ = {name: it for name, it in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(2 if quick else RUNS + 1):
        probe = [sys.executable, "-c", PROBE]
        out = subprocess.run(probe, env=environ, capture_output=True, text=True, check=True).stdout
        runs.append(json.loads(out.splitlines()[-1]))
    # The first run compiles, and warms the disk cache.
    return {name: statistics.median(run[name] for run in runs[1:]) for name in runs[0]}
