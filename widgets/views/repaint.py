"""Decides when to paint: at once, or soon, but rarely enough to cost little. Knows no view."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

_BYTES_A_SECOND = 2_000_000
_SHARE = 0.2
_IDLE_SECONDS = 1.0
"""Seconds without a time to wait for, after which the thread of an alarm ends."""


class Clock(Protocol):
    """The two clocks of the module `time`, or of a fake in a test."""

    def monotonic(self) -> float: ...
    def time(self) -> float: ...


class _PutOff(NamedTuple):
    """A paint that comes later: when it is due, and whether the event loop makes it."""

    due: float
    by_loop: bool
    cancel: Callable[[], object]


class Pace:
    """Calls `paint`, which returns how many characters it sent, at most `rate` times a second.

    A longer pause follows a slow or large paint, so that painting takes at most a fifth of the time
    and 2 MB a second. Hold `lock` while you change what is painted: agent code may print from
    threads, and a paint that was put off may run in one. `lock` is held while painting.
    """

    def __init__(self, paint: Callable[[], int], rate: float, clock: Clock) -> None:
        self.lock = threading.RLock()
        self._paint = paint
        self._pause = 1 / rate
        self._clock = clock
        self._soonest = self._due = 0.0
        self._put_off: _PutOff | None = None
        self._untick: Callable[[], object] | None = None
        self._painting = False
        self._alarm = _Alarm(self._paint_now)

    def ask(self, *, soon: bool, loop_is_free: bool) -> None:
        """Paint now if the pause is over, else once, after the pause. `soon`: a reader waits for
        it, so only the rate holds it up, and no longer pause.

        `loop_is_free`: this thread's event loop can paint later. If it is not free, a thread does.
        If there is no loop, the next call does it.
        """
        with self.lock:
            due, before = self._soonest if soon else self._due, self._put_off
            if before is not None:
                due = min(due, before.due)
            late = due - self._clock.monotonic()
            if late <= 0:
                self._paint_now()
            elif before is None or due < before.due or (before.by_loop and not loop_is_free):
                if before is not None:
                    before.cancel()
                cancel = self._by_loop(late) if loop_is_free else self._alarm.set(late)
                self._put_off = cancel and _PutOff(due, loop_is_free, cancel)

    def again(self, seconds: float) -> None:
        """Paint after so many seconds, for a clock. Only if an event loop runs, and unless
        something is painted before."""
        with self.lock:
            self._untick = self._by_loop(seconds)

    def stop(self) -> None:
        """Cancel a paint that was put off, and the tick."""
        with self.lock:
            for cancel in filter(None, (self._put_off and self._put_off.cancel, self._untick)):
                cancel()
            self._put_off = self._untick = None

    def _paint_now(self) -> None:
        with self.lock:
            self.stop()
            if self._painting:  # painting made code print, and its output asked for this paint
                return
            self._painting = True
            began = self._clock.monotonic()
            try:
                sent = self._paint()
            finally:
                self._painting = False
            now = self._clock.monotonic()
            self._soonest = now + self._pause
            self._due = now + max(self._pause, (now - began) / _SHARE, sent / _BYTES_A_SECOND)

    def _by_loop(self, seconds: float) -> Callable[[], object] | None:
        try:
            return asyncio.get_running_loop().call_later(seconds, self._paint_now).cancel
        except RuntimeError:
            return None


class _Alarm:
    """Calls a function at a time, on a thread that lasts. Most times are cancelled before they come
    and the thread sleeps on, as a thread for each would cost more than a small step.
    """

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._at: float | None = None
        self._wakes = 0.0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def set(self, seconds: float) -> Callable[[], object]:
        """Call it in so many seconds, and at no other time. Returns the function that cancels."""
        with self._changed:
            self._at = time.monotonic() + seconds
            if self._thread is None:
                in_this_cell = contextvars.copy_context().run
                self._thread = threading.Thread(target=in_this_cell, args=(self._run,), daemon=True)
                self._thread.name = "inkernel-repaint"
                self._thread.start()
            elif self._at < self._wakes:
                self._changed.notify()
        return self._cancel

    def _cancel(self) -> None:
        self._at = None

    def _run(self) -> None:
        try:
            while self._waits():
                self._call()
        except BaseException:  # the next time gets another thread
            self._thread = None
            raise

    def _waits(self) -> bool:
        """Wait until it is time. False if there is nothing to wait for any more."""
        with self._changed:
            idle = time.monotonic() + _IDLE_SECONDS
            while (at := self._at) is None or at > time.monotonic():
                self._wakes = idle if at is None else at
                self._changed.wait(self._wakes - time.monotonic())
                if at is None and self._at is None and time.monotonic() >= idle:
                    self._thread = None
                    return False
            self._at = None
            return True
