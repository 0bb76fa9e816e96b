"""The view on a terminal: plain, with a line that counts the seconds of the model's silence."""

import sys
import threading
import time
from collections.abc import Callable
from shutil import get_terminal_size

from ..agent.events import CallDelta, Event, SampleStarted
from .plain import PlainView
from .words import seconds_text

TICK = 1.0
"""Seconds of silence before the line appears, and between two counts."""

_ERASE = "\r\x1b[K"
_DIM, _RESET = "\x1b[2m", "\x1b[0m"


def on_terminal(*, timing: bool = True) -> "PlainView | WaitingView":
    """A view on standard output as it is now; what captures it later captures nothing of this."""
    write, flush, seen = sys.stdout.write, sys.stdout.flush, sys.stdout.isatty()

    def put(text: str) -> None:
        write(text)
        flush()

    view = PlainView(put, get_terminal_size().columns, colour=seen, timing=timing)
    return WaitingView(view, put) if seen else view


class WaitingView:
    """A plain view whose waits are seen. The line is gone before anything else is printed."""

    def __init__(self, view: PlainView, put: Callable[[str], None], tick: float = TICK) -> None:
        self._view = view
        self._put = put
        self._tick = tick
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._since = 0.0
        self._there = False

    def show(self, event: Event) -> None:
        """Print what `event` adds; then, when the model is to go on, begin to count."""
        silent = isinstance(event, SampleStarted | CallDelta)  # the view prints nothing for these
        with self._lock:
            if silent and self._timer is not None:
                self._view.show(event)
                return
            self._stop()
            self._view.show(event)
            if silent and self._view.at_line_start:
                self._since = time.monotonic()
                self._count()

    def close(self) -> None:
        """Erase the line; end the view's own."""
        with self._lock:
            self._stop()
            self._view.close()

    def _count(self) -> None:
        self._timer = threading.Timer(self._tick, self._print)
        self._timer.daemon = True
        self._timer.start()

    def _print(self) -> None:
        with self._lock:
            if self._timer is threading.current_thread():  # else it was stopped just now
                waited = seconds_text(time.monotonic() - self._since)
                self._put(f"{_ERASE}{_DIM}waiting for the model · {waited}{_RESET}")
                self._there = True
                self._count()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._there:
            self._put(_ERASE)
            self._there = False
