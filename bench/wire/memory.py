"""Measures the peak memory that a turn of ours adds to a bare kernel, in its own process."""

import asyncio
import json
import resource
import sys
import tempfile
from pathlib import Path

from .job import job_from_argv

_STATUS = Path("/proc/self/status")


def peak() -> float:
    """The peak of this process's resident memory, in MB."""
    if _STATUS.exists():  # getrusage counts what the parent had when it started us
        lines = _STATUS.read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Run the job on the command line in ipykernel's own shell."""
    from ipykernel.zmqshell import ZMQInteractiveShell

    ZMQInteractiveShell.instance().run_cell("import os", store_history=False)
    bare = peak()
    from .ours import run

    loaded = peak()
    with tempfile.TemporaryDirectory(prefix="ink") as folder:
        done = asyncio.run(run(job_from_argv(), Path(folder)))
    memory = {"bare MB": bare, "imports MB": loaded - bare, "added MB": peak() - bare}
    json.dump({**done, **memory}, sys.stdout)


if __name__ == "__main__":
    main()
