"""The time limit of one step, and the calls when it is over. Knows neither code nor signals.

A thread watches the time, since code that computes gives the event loop no chance to.
"""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Self

STOP_GRACE_SECONDS = 10.0
"""Seconds that code has to end once it was stopped, since it may be saving its work."""


class TimeLimit:
    """Calls `stop` when `seconds` are over, and again after half of the grace.

    It calls `give_up` once, when the code still runs after the grace. Both calls come on the
    watching thread.
    """

    def __init__(
        self,
        seconds: float,
        stop: Callable[[], object],
        give_up: Callable[[], object],
        grace: float = STOP_GRACE_SECONDS,
    ) -> None:
        self.seconds = seconds
        self.over = self.gave_up = False
        self._steps = ((seconds, self._stop), (grace / 2, stop), (grace / 2, self._give_up))
        self._calls = stop, give_up
        self._changed = threading.Condition()
        self._ended = False
        self._paused = 0
        self._thread = threading.Thread(target=self._watch, name="inkernel-limit", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._thread.join()

    def end(self) -> None:
        """Make no more calls. Safe when an interrupt cuts `__exit__` short."""
        self._ended = True
        with self._changed:
            self._changed.notify()

    @contextmanager
    def paused(self) -> Generator[None]:
        """The time until the user has answered does not count."""
        self._pause(1)
        try:
            yield
        finally:
            self._pause(-1)

    def _pause(self, more: int) -> None:
        with self._changed:
            self._paused += more
            self._changed.notify()

    def _watch(self) -> None:
        for seconds, call in self._steps:
            if not self._waited(seconds):
                return
            call()

    def _waited(self, seconds: float) -> bool:
        """Wait so many seconds, without pauses. Returns False if the step ended before."""
        with self._changed:
            while seconds > 0 and not self._ended:
                began, counts = time.monotonic(), not self._paused
                self._changed.wait(seconds if counts else None)
                if counts:
                    seconds -= time.monotonic() - began
            return not self._ended

    def _stop(self) -> None:
        self.over = True
        self._calls[0]()

    def _give_up(self) -> None:
        self.gave_up = True
        self._calls[1]()
