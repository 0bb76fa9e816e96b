"""Interrupts that come fast, one upon the other, in a real kernel."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.kernel_ext.approval.test_questions import items, steps

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]
SWALLOWS = "while True:\n    try: time.sleep(60)\n    except BaseException: pass"
CODES = {"sleeps": "time.sleep(60)", "swallows": SWALLOWS, "computes": "while True: pass"}


@pytest.mark.parametrize("pause", [0.0, 0.03, 0.1])
@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_they_end_the_turn_and_leave_the_persons_cells_alone(agent: Any, code: str, pause: float):
    how = {"INKERNEL_TRIAL": "never", "INKERNEL_POLICY": "auto"}
    kernel, server = agent(steps(f"import time\n{code}") + steps("after = 1"), **how)
    other = Path.home() / f".inkernel-test-{time.monotonic_ns()}"
    cell = kernel.start("%%agent\nGo.", allow_stdin=True)
    until = time.monotonic() + 60
    while len(server.requests) < 1 and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1)
    for _ in range(5):
        kernel.manager.interrupt_kernel()
        time.sleep(pause)
    ran = kernel.finish(cell)
    assert ran.ename == "TurnInterrupted", (ran.ename, ran.evalue)
    try:
        mine = kernel.run(f"open({str(other)!r}, 'w').close()")
        assert mine.status == "ok", mine.traceback
    finally:
        other.unlink(missing_ok=True)
    assert kernel.run("%%agent\nGo on.").status == "ok"
    assert kernel.run("after").text == "1"
    assert "RuntimeError" not in str(items(server.requests[-1]))
