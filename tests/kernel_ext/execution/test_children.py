"""Processes that a step leaves behind are counted, named, and ended on request. Real kernels."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from inkernel.kernel_ext.execution.children import Child, Children, Moment
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
    "a program in a session of its own": ("import os; os.system('setsid -f sleep 61')", 1),
    "a program of a child that is over and that nobody waited for": (
        "import os, signal, time\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        os.execvp('sleep', ['sleep', '61'])\n    os._exit(0)\ntime.sleep(0.5)",
        1,
    ),
    "a process of a fork server, which stays itself": (
        "import multiprocessing as m, time\n"
        "p = m.get_context('forkserver').Process(target=time.sleep, args=(61,))\np.start()",
        1,
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


def test_the_mark_of_steps_is_in_no_process_of_yours(agent: Any):
    kernel, _ = agent(steps("x = 1"))
    kernel.run("%%agent --policy full\nGo.")
    assert "STEPS" not in kernel.run("import os; print(list(os.environ))").text


@pytest.mark.parametrize(("number", "last"), [(100, 200), (900, 50), (0, 200), (100, 0)])
def test_the_number_of_a_process_says_whether_it_may_be_new(number: int, last: int):
    moment = Moment(ticks=0, number=number, known=frozenset())
    new = [pid for pid in (1, 50, 51, 100, 101, 200, 201, 901) if moment.may_be_new(pid, last)]
    everything = [1, 50, 51, 100, 101, 200, 201, 901]
    assert new == {(100, 200): [101, 200], (900, 50): [1, 50, 901]}.get((number, last), everything)


def test_a_process_from_just_before_a_step_is_none_of_the_step():
    for _ in range(20):
        children = Children()
        with subprocess.Popen(["sleep", "61"]) as before:
            moment = children.now()
            with subprocess.Popen(["sleep", "61"]) as after:
                assert [it.pid for it in children.since(moment)] == [after.pid]
                after.kill()
            before.kill()


async def test_the_wait_for_a_process_to_end_blocks_nothing_and_can_be_cancelled():
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)"
    with subprocess.Popen([sys.executable, "-c", f"{code}; time.sleep(61)"], stdout=-1) as process:
        assert process.stdout is not None and process.stdout.readline()
        children = Children()
        child = Child(process.pid, _started(process.pid), "deaf")
        ending = asyncio.ensure_future(children.end((child,)))
        await asyncio.sleep(0.1)
        assert not ending.done()
        ending.cancel()
        assert process.poll() is None
        await children.end((child,))
        assert process.wait() == -signal.SIGKILL


def _started(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[19])


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
