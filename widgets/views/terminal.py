"""The view in a terminal: plain, with a line that counts the seconds of each wait."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from shutil import get_terminal_size

from ...agent.protocol.cells import Output
from ...agent.protocol.events import (
    CallDelta,
    Compacting,
    Event,
    HostedProgress,
    Retrying,
    SampleStarted,
)
from ..render.labels import seconds_text
from .plain import PlainView

COUNT_SECONDS = 1.0
"""Seconds of silence before the line appears, and between two counts."""

_ERASE = "\r\x1b[K"
_DIM, _RESET = "\x1b[2m", "\x1b[0m"


def on_terminal(*, timing: bool = True) -> "PlainView | WaitingView":
    """A view on the present standard output. A later capture of outputs does not get its text."""
    write, flush, seen = sys.stdout.write, sys.stdout.flush, sys.stdout.isatty()

    def put(text: str) -> None:
        write(text)
        flush()

    view = PlainView(put, get_terminal_size().columns, colour=seen, timing=timing)
    return WaitingView(view, put) if seen else view


class WaitingView:
    """A plain view with a line for waits. The line is erased before anything else is printed."""

    def __init__(
        self, view: PlainView, put: Callable[[str], None], tick: float = COUNT_SECONDS
    ) -> None:
        self._view = view
        self._put = put
        self._tick = tick
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._since = 0.0
        self._until: float | None = None
        self._there = False

    def show(self, event: Event) -> None:
        """Print what `event` adds. When a wait begins, start to count."""
        silent = isinstance(event, SampleStarted | CallDelta | HostedProgress)  # prints nothing
        with self._lock:
            if silent and self._timer is not None and self._until is None:
                self._view.show(event)
                return
            self._stop()
            waits = isinstance(event, Retrying | Compacting)
            if isinstance(event, Compacting):
                self._view.take(event)  # our line shows it, until `Compacted` prints the result
            else:
                self._view.show(event)
            if (silent or waits) and self._view.at_line_start:
                self._since = time.monotonic()
                self._until = self._since + event.wait if isinstance(event, Retrying) else None
                self._count()

    def close(self, below: Sequence[Output] | None = None, *, asked: bool = False) -> None:
        """Erase the line, and end the view's own line."""
        with self._lock:
            self._stop()
            self._view.close(below)

    def _count(self) -> None:
        self._timer = threading.Timer(self._tick, self._print)
        self._timer.daemon = True
        self._timer.start()

    def _print(self) -> None:
        with self._lock:
            if self._timer is threading.current_thread():  # else it has just been stopped
                self._put(f"{_ERASE}{_DIM}{self._waiting()}{_RESET}")
                self._there = True
                self._count()

    def _waiting(self) -> str:
        now = time.monotonic()
        if self._until is not None:
            return f"trying again in {seconds_text(max(0.1, self._until - now))}"
        return f"{self._view.doing} · {seconds_text(now - self._since)}"

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._there:
            self._put(_ERASE)
            self._there = False
