"""When to paint: at once, or soon, but never so often that painting is felt. Knows no view."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Protocol

_BYTES_A_SECOND = 2_000_000
_SHARE = 0.2


class Clock(Protocol):
    """The two clocks of the module `time`, or a stand-in's."""

    def monotonic(self) -> float: ...
    def time(self) -> float: ...


class Pace:
    """Calls `paint`, which returns how many characters it sent, at most `rate` times a second.

    A paint that was slow or large is followed by a longer pause, so that painting takes at most a
    fifth of the time and 2 MB a second. `lock` is held while painting; hold it to change what is
    painted, since agent code may print from threads and a paint put off may run in one.
    """

    def __init__(self, paint: Callable[[], int], rate: float, clock: Clock) -> None:
        self.lock = threading.RLock()
        self._paint = paint
        self._pause = 1 / rate
        self._clock = clock
        self._due = 0.0
        self._forget: Callable[[], object] | None = None
        self._untick: Callable[[], object] | None = None
        self._painting = False

    def ask(self, *, at_once: bool, loop_is_free: bool) -> None:
        """Paint now if it is time or must be; else once, when the pause is over.

        `loop_is_free`: the event loop of this thread will get to it. When not, a thread does it;
        when there is no loop at all, the next call does.
        """
        with self.lock:
            late = self._due - self._clock.monotonic()
            if at_once or late <= 0:
                self._paint_now()
            elif self._forget is None:
                self._forget = self._by_loop(late) if loop_is_free else self._by_thread(late)

    def again(self, seconds: float) -> None:
        """Paint then, if nothing is painted before and an event loop runs: a clock ticks."""
        with self.lock:
            self._untick = self._by_loop(seconds)

    def stop(self) -> None:
        """Paint nothing that was put off, and no tick."""
        with self.lock:
            for cancel in filter(None, (self._forget, self._untick)):
                cancel()
            self._forget = self._untick = None

    def _paint_now(self) -> None:
        with self.lock:
            self.stop()
            if self._painting:  # what is being sent made code print, which made this call
                return
            self._painting = True
            began = self._clock.monotonic()
            try:
                sent = self._paint()
            finally:
                self._painting = False
            now = self._clock.monotonic()
            self._due = now + max(self._pause, (now - began) / _SHARE, sent / _BYTES_A_SECOND)

    def _by_loop(self, seconds: float) -> Callable[[], object] | None:
        try:
            return asyncio.get_running_loop().call_later(seconds, self._paint_now).cancel
        except RuntimeError:
            return None

    def _by_thread(self, seconds: float) -> Callable[[], object]:
        in_this_cell = contextvars.copy_context().run
        timer = threading.Timer(seconds, in_this_cell, (self._paint_now,))
        timer.daemon = True
        timer.start()
        return timer.cancel
