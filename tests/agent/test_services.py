"""Services run on a loop of their own thread: they go on while the kernel's thread computes."""

import asyncio
import threading
import time
from contextvars import ContextVar

import pytest

from inkernel.agent.services import ServiceLoop, Services


@pytest.fixture
def loop():
    made = ServiceLoop()
    yield made
    made.close()


async def test_work_is_done_on_another_thread_and_its_errors_come_back(loop: ServiceLoop):
    async def where() -> threading.Thread:
        return threading.current_thread()

    async def fails() -> None:
        raise ValueError("no")

    first, second = await loop.call(where()), await loop.call(where())
    assert first is second is not threading.current_thread()
    with pytest.raises(ValueError, match="no"):
        await loop.call(fails())


async def test_a_cancellation_travels_there(loop: ServiceLoop):
    heard = threading.Event()

    async def waits() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            heard.set()
            raise

    task = asyncio.create_task(loop.call(waits()))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(heard.wait, 30)


async def test_answers_that_came_while_the_kernel_computes_are_there_afterwards(
    loop: ServiceLoop,
):
    """The same three waits on the kernel's own loop all fail: its timers run out first."""

    async def answered() -> str:
        async with asyncio.timeout(0.5):
            await asyncio.to_thread(time.sleep, 0.05)
        return "here"

    here = [asyncio.create_task(answered()) for _ in range(3)]
    there = [asyncio.create_task(loop.call(answered())) for _ in range(3)]
    await asyncio.sleep(0)
    time.sleep(1)
    assert await asyncio.gather(*there) == ["here"] * 3
    assert await asyncio.gather(*here, return_exceptions=True) != ["here"] * 3


async def test_nothing_of_the_callers_context_goes_there(loop: ServiceLoop):
    mark: ContextVar[str] = ContextVar("mark", default="nobody's")
    mark.set("the step's")

    async def read() -> str:
        return mark.get()

    assert await loop.call(read()) == "nobody's"


def test_closing_cancels_work_and_ends_the_thread(loop: ServiceLoop):
    async def waits() -> None:
        await asyncio.sleep(60)

    work = loop.submit(waits())
    threads = [it for it in threading.enumerate() if it.name == "inkernel services"]
    loop.close()
    assert work.cancelled() and not any(it.is_alive() for it in threads)
    loop.close()


class Kept:
    """A service that notes its end."""

    def __init__(self) -> None:
        self.ended: threading.Thread | None = None

    async def close(self) -> None:
        self.ended = threading.current_thread()


async def test_a_service_is_made_once_and_ends_on_its_own_thread():
    services = Services()
    assert services.made(Kept) is None and not services.loop.begun

    async def thread() -> threading.Thread:
        return threading.current_thread()

    kept = services.get(Kept, lambda _loop: Kept())
    assert services.get(Kept, lambda _loop: Kept()) is kept is services.made(Kept)
    there = await services.loop.call(thread())
    services.close()
    assert kept.ended is there and services.made(Kept) is None


async def test_leaving_services_does_not_wait_for_their_end():
    may_end, ended = threading.Event(), threading.Event()

    class Slow:
        async def close(self) -> None:
            await asyncio.to_thread(may_end.wait)
            ended.set()

    services = Services()
    first = services.get(Slow, lambda _loop: Slow())
    await services.loop.call(asyncio.sleep(0))
    services.leave()
    assert not ended.is_set() and services.get(Slow, lambda _loop: Slow()) is not first
    may_end.set()
    assert await asyncio.to_thread(ended.wait, 60)
