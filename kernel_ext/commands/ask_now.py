"""What a synchronous subcommand asks of a server, while the loop of its thread runs already."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, TypeVar

from ...agent.config.settings import Settings
from ...agent.errors import AgentError
from ...agent.providers.resolve import Target
from ..host import KernelAgent

T = TypeVar("T")


def find_now(agent: KernelAgent, settings: Settings) -> Target:
    """The server and model of the next turn. Raises AgentError."""
    return now(agent.find_target(settings))


def found_now(agent: KernelAgent, settings: Settings) -> Target | AgentError:
    """The same, or why there is none."""
    try:
        return find_now(agent, settings)
    except AgentError as error:
        return error


def now(asked: Coroutine[Any, Any, T]) -> T:
    """What `asked` gives, from synchronous code on a thread whose own event loop runs already.

    When the person interrupts the wait, it is cancelled.
    """
    stops: list[Callable[[], object]] = []
    stopped = Event()

    async def run() -> T:
        task, loop = asyncio.ensure_future(asked), asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(task.cancel))
        if stopped.is_set():  # before there was anything to stop
            task.cancel()
        return await task

    with ThreadPoolExecutor(max_workers=1) as other:
        future = other.submit(asyncio.run, run())
        try:
            return future.result()
        except KeyboardInterrupt:
            stopped.set()
            with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                for stop in stops:
                    stop()
            raise
