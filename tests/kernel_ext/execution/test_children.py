"""Processes that a step leaves behind are counted, named, and ended on request. Real kernels."""

import os
import sys
import time
from typing import Any

import pytest

from tests.kernel_ext.approval.test_questions import items, steps

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

LEFT = {
    "a subprocess": ("import subprocess\np = subprocess.Popen(['sleep', '61'])", 1),
    "a program of a shell that is over": ("import os; os.system('sleep 61 &')", 1),
    "copies whose parents are gone": (
        "import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n"
        "        if os.fork() == 0:\n            time.sleep(61)\n        os._exit(0)\n"
        "time.sleep(0.5)",
        8,
    ),
}


@pytest.mark.parametrize("kind", LEFT)
def test_a_process_that_a_step_leaves_is_named_and_ended(agent: Any, kind: str):
    code, count = LEFT[kind]
    kernel, server = agent(steps(code))
    kernel.run("%%agent --policy full\nGo.")
    told = items(server.requests[1])[-1]["output"]
    plural = "es" if count > 1 else ""
    assert f"still running after this step: {count} process{plural}: " in told
    shown = kernel.run("%agent processes").text.splitlines()[1:]
    pids = [int(line.split()[0]) for line in shown]
    assert len(pids) == count
    assert "Ended" in kernel.run("%agent processes end").text
    assert "No step left any process" in kernel.run("%agent processes").text
    for pid in pids:
        assert _state(pid) in ("", "Z")


def test_a_step_that_waits_for_its_processes_leaves_none(agent: Any):
    code = (
        "import subprocess, multiprocessing as m\nsubprocess.run(['true'])\n"
        "with m.get_context('fork').Pool(2) as p:\n    p.map(abs, [-1])"
    )
    kernel, server = agent(steps(code))
    kernel.run("%%agent --policy full\nGo.")
    assert "still running" not in items(server.requests[1])[-1]["output"]


def _state(pid: int) -> str:
    for _ in range(50):
        if not os.path.exists(f"/proc/{pid}/stat"):
            return ""
        with open(f"/proc/{pid}/stat") as file:
            state = file.read().rpartition(")")[2].split()[0]
        if state == "Z":
            break
        time.sleep(0.02)
    return state
