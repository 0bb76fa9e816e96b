"""What a subcommand shows, and what it asks of a server meanwhile. Knows no subcommand."""

import asyncio
import contextlib
import html
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any, TypeVar

from ..agent.errors import AgentError
from ..agent.providers import Target
from ..agent.settings import Settings
from .binding import Binding

WRAPPED = "white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere"
"""JupyterLab's own style of a `pre` breaks lines within words."""

T = TypeVar("T")
Rows = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Card:
    """What a subcommand shows: a line, and rows of a name and a value."""

    title: str
    rows: Rows = ()

    def bundle(self) -> dict[str, str]:
        """The card as text and as HTML."""
        wide = max((len(name) for name, _ in self.rows), default=0)
        lines = [f"  {name:<{wide}}  {value}" for name, value in self.rows]
        cells = "".join(
            f"<tr><td style='text-align:left'><b>{html.escape(name)}</b></td>"
            f"<td style='text-align:left;white-space:pre-wrap'>{html.escape(value)}</td></tr>"
            for name, value in self.rows
        )
        table = f"<table>{cells}</table>" if cells else ""
        return {
            "text/plain": "\n".join([self.title, *lines]),
            "text/html": f"<div>{html.escape(self.title)}</div>{table}",
        }


@dataclass(frozen=True, slots=True)
class TextCard:
    """A line, and a text as it is."""

    title: str
    text: str

    def bundle(self) -> dict[str, str]:
        """The card as text and as HTML."""
        return {
            "text/plain": f"{self.title}\n\n{self.text}",
            "text/html": f"<div>{html.escape(self.title)}</div>"
            f"<pre style='{WRAPPED}'>{html.escape(self.text)}</pre>",
        }


def find_now(binding: Binding, settings: Settings) -> Target:
    """The server and model of the next turn. Raises AgentError."""
    return now(binding.find_target(settings))


def found_now(binding: Binding, settings: Settings) -> Target | AgentError:
    """The same, or why there is none."""
    try:
        return find_now(binding, settings)
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
