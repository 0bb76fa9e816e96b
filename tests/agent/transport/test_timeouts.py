"""How long is waited: for the first event, then between two, and never for ourselves."""

import asyncio
import time

import pytest

from inkernel.agent.config.settings import Settings
from inkernel.agent.errors import StreamBrokenError
from inkernel.agent.transport.timeouts import StreamTimeouts

LONG = 3600
"""Seconds no test ever waits."""


def patience(first: float = LONG, idle: float = LONG) -> StreamTimeouts:
    settings = Settings(first_event_timeout=first, idle_timeout=idle, connect_timeout=0.01)
    return StreamTimeouts("host:1", settings)


async def soon(value: str = "came") -> str:
    await asyncio.sleep(0.01)
    return value


async def test_what_comes_in_time_comes():
    with patience() as waiting:
        assert await waiting.wait(soon()) == "came"


async def test_a_server_that_does_not_begin_is_given_up():
    with patience(first=0.02) as waiting:
        waiting.asked()
        with pytest.raises(StreamBrokenError, match=r"begin to answer within 0\.02 s"):
            await waiting.wait(asyncio.sleep(LONG))


async def test_each_event_gives_the_next_its_time():
    with patience(idle=0.3) as waiting:
        for _ in range(60):
            assert await waiting.wait(soon())
            waiting.heard()
        with pytest.raises(StreamBrokenError, match=r"fell silent for 0\.3 s"):
            await waiting.wait(asyncio.sleep(LONG))


async def test_the_time_between_the_waits_is_ours_and_does_not_count():
    with patience(idle=0.05) as waiting:
        waiting.heard()
        await asyncio.sleep(0.2)
        assert await waiting.wait(soon()) == "came"


async def test_the_time_between_the_waits_does_not_count_before_the_first_event_either():
    with patience(first=0.05) as waiting:
        waiting.asked()
        await asyncio.sleep(0.2)
        with pytest.raises(StreamBrokenError, match="did not begin"):
            await waiting.wait(asyncio.sleep(LONG))


async def test_after_a_time_of_our_own_a_silent_server_is_given_up_all_the_same():
    with patience(idle=0.05) as waiting:
        waiting.heard()
        await asyncio.sleep(0.2)
        with pytest.raises(StreamBrokenError, match="fell silent"):
            await waiting.wait(asyncio.sleep(LONG))


async def test_a_cancellation_that_was_there_before_is_nobody_elses():
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(LONG)
    with patience(first=0.01) as waiting, pytest.raises(StreamBrokenError):
        await waiting.wait(asyncio.sleep(LONG))
    assert task.uncancel() == 0


async def test_a_cancellation_from_outside_beside_our_own_goes_on():
    async def wait() -> None:
        with patience(first=0.01) as waiting:
            await waiting.wait(asyncio.sleep(LONG))

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.05, task.cancel)
    time.sleep(0.1)  # now both are due at once, ours first
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_outside_stays_one():
    async def wait() -> None:
        with patience(first=LONG) as waiting:
            await waiting.wait(asyncio.sleep(LONG))

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_after_giving_up_the_task_goes_on_uncancelled():
    with patience(first=0.01) as waiting, pytest.raises(StreamBrokenError):
        await waiting.wait(asyncio.sleep(LONG))
    task = asyncio.current_task()
    assert task is not None and not task.cancelling()
    assert await soon() == "came"


async def test_no_timer_is_left_behind():
    with patience(first=0.01, idle=0.01) as waiting:
        waiting.asked()
        waiting.heard()
    scheduled: list[asyncio.TimerHandle] = vars(asyncio.get_running_loop())["_scheduled"]
    assert [timer for timer in scheduled if not timer.cancelled()] == []
