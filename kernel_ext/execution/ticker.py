"""One thread that calls functions again and again while steps run. Knows no step.

It lasts, because to start and join a thread costs more than a small step.
"""

import contextvars
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

TICK_SECONDS = 0.05
"""Seconds between two calls."""

IDLE_TICKS = 20
"""Ticks without any function after which the thread sleeps until there is one."""


@dataclass(eq=False, slots=True)
class _Call:
    function: Callable[[], object]
    over: bool = False


class Ticker:
    """Its thread starts with the first function, in the context of that moment."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._calling = threading.Lock()
        self._wake = threading.Event()
        self._asleep = self._closed = False
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[[], object]) -> Callable[[], None]:
        """Call `function` at each tick from now on. Returns the function that ends it.

        That function returns when no call is under way. An interrupt of it ends the calls, too.
        """
        entry = _Call(function)
        self._calls.append(entry)
        if self._thread is None:
            run = contextvars.copy_context().run
            self._thread = threading.Thread(target=run, args=(self._tick,), daemon=True)
            self._thread.name = "inkernel-clock"
            self._thread.start()
        elif self._asleep:
            self._wake.set()

        def end() -> None:
            entry.over = True
            with self._calling:
                return

        return end

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _tick(self) -> None:
        idle = 0
        while not self._closed:
            self._asleep = idle > IDLE_TICKS
            # Who adds a function looks at `_asleep` after that, as this looks at the functions.
            self._wake.wait(None if self._asleep and not self._calls else TICK_SECONDS)
            self._wake.clear()
            idle = 0 if self._calls else idle + 1
            for entry in tuple(self._calls):
                self._call(entry)

    def _call(self, entry: _Call) -> None:
        with self._calling:
            if entry.over:
                self._calls.remove(entry)
                return
            try:
                entry.function()
            except Exception:  # the others go on
                self._calls.remove(entry)
                told = (*sys.exc_info(), threading.current_thread())
                threading.excepthook(threading.ExceptHookArgs(told))
