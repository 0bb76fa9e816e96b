"""The services of a session, on an event loop of a thread of their own. Knows no service.

A cell that computes holds up the kernel's own loop. On that loop a timer may fire before an answer
that came long before it is read.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
_CLOSING_SECONDS = 6.0
"""Most seconds that services may take to end, and then most that their tasks may take."""


class ServiceLoop:
    """An event loop on a daemon thread, which begins at the first use."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin work there, with nothing of the caller's context."""
        loop = self._loop or self._begin()
        return Context().run(asyncio.run_coroutine_threadsafe, work, loop)

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work there and wait for it here. A cancellation here cancels it there."""
        return await asyncio.wrap_future(self.submit(work))

    @property
    def begun(self) -> bool:
        """Whether it was used since it was made or closed."""
        return self._loop is not None

    def close(self) -> None:
        """Cancel all work, and end the thread. The next use begins another one."""
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is None or thread is None:
            return
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_cancel_others(), loop).result(_CLOSING_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CLOSING_SECONDS)

    def _begin(self) -> asyncio.AbstractEventLoop:
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=_run, args=(loop,), name="inkernel services", daemon=True
        )
        self._thread.start()
        return loop


class SessionService(Protocol):
    """A thing with an end. It is made by the kernel's thread, and runs on the service loop."""

    async def close(self) -> None:
        """End it. Called on the service loop."""
        ...


S = TypeVar("S", bound=SessionService)


class Services:
    """The services of a session. Each is made when it is first asked for."""

    def __init__(self) -> None:
        self.loop = ServiceLoop()
        self._made: dict[type, SessionService] = {}

    def get(self, kind: type[S], make: Callable[[ServiceLoop], S]) -> S:
        """The service of that type."""
        found = self._made.get(kind)
        if not isinstance(found, kind):
            found = self._made[kind] = make(self.loop)
        return found

    def made(self, kind: type[S]) -> S | None:
        """The service of that type, if it was asked for already."""
        found = self._made.get(kind)
        return found if isinstance(found, kind) else None

    def close(self) -> None:
        """End all services, beside each other, and their thread. Waits for that."""
        _end(*self._left())

    def leave(self) -> None:
        """The same, without a wait. The next services have a thread of their own."""
        if self.loop.begun:
            ending = threading.Thread(target=_end, args=self._left(), daemon=True)
            ending.start()

    def _left(self) -> "tuple[ServiceLoop, list[SessionService]]":
        left = self.loop, list(self._made.values())
        self.loop, self._made = ServiceLoop(), {}
        return left


def _end(loop: ServiceLoop, made: list[SessionService]) -> None:
    if made and loop.begun:
        with suppress(TimeoutError):
            loop.submit(_close_all(made)).result(_CLOSING_SECONDS)
    loop.close()


async def _close_all(services: list[SessionService]) -> None:
    await asyncio.gather(*(it.close() for it in services), return_exceptions=True)


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()
