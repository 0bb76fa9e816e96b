"""The time of a trial on a busy machine: what it waited for a processor does not count. Linux."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from inkernel.kernel_ext.sandbox import trial
from tests.kernel_ext.sandbox.test_trial import Place

HOG = "import time\nuntil = time.time() + 60\nwhile time.time() < until: pass"
COMPUTES = "import time\nwhile time.process_time() < before + 0.9: pass"


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    found = Place(tmp_path_factory.mktemp("busy"))
    yield found
    found.kernel.close()


@pytest.mark.kernel
def test_a_trial_that_computes_is_not_cut_for_what_others_compute(place: Place):
    """It ends, or has had three times its time."""
    hogs = [subprocess.Popen([sys.executable, "-c", HOG]) for _ in range(6)]
    try:
        code = f"import time\nbefore = time.process_time()\n{COMPUTES}"
        found = place.tried(code, 2)
        assert found["status"] == "ok" or found["seconds"] > 5.9, found
        slept = place.tried("import time; time.sleep(30)", 1)
        assert (slept["status"], slept["seconds"] < 10) == ("cut", True), slept
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


async def test_a_wait_is_longer_by_what_it_waited_for_a_processor_and_has_an_end():
    async def spent(lost: float) -> float:
        started = time.monotonic()
        never = asyncio.get_running_loop().create_future()
        assert await trial._is_late(never, 0.1, lambda: lost)
        return time.monotonic() - started

    assert await spent(0) >= 0.1
    assert await spent(0.1) >= 0.2
    assert await spent(100) >= 0.3
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    assert not await trial._is_late(done, 60, lambda: 0)


def test_a_process_tells_what_it_waited_for_a_processor():
    assert trial._waited_seconds([1 << 30]) == 0
    hog = subprocess.Popen([sys.executable, "-c", HOG])
    other = subprocess.Popen(["taskset", "1", sys.executable, "-c", HOG])
    try:
        until = time.monotonic() + 30
        while not trial._waited_seconds([hog.pid, other.pid]) and time.monotonic() < until:
            time.sleep(0.05)
        assert 0 < trial._waited_seconds([hog.pid, other.pid]) < 60
    finally:
        for it in (hog, other):
            it.kill()
            it.wait()
