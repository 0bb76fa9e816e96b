"""The time limit of one step, and the calls when it is over. Knows neither code nor signals.

A thread watches the time, since code that computes gives the event loop no chance to.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Self

from ...agent.frozen import frozen
from .ticker import Ticker

STOP_GRACE_SECONDS = 10.0
"""Seconds that code has to end once it was stopped, since it may be saving its work."""
HEARD_SECONDS = 1.0
"""Seconds after which the person reads that their interrupt was heard, and the code goes on."""


@frozen
class PersonStops:
    """`stopped`: whether the person has stopped the code. `heard`: is called if the code goes on
    for a second after that."""

    stopped: Callable[[], bool] = lambda: False
    heard: Callable[[], object] = lambda: None


_NOBODY = PersonStops()


class TimeLimit:
    """Calls `stop` when `seconds` are over, and again after half of the grace.

    If the person stops the code, the grace begins then.

    It calls `give_up` once, when the code still runs after the grace. All calls come on the
    thread of `ticker`, at one of its ticks.
    """

    def __init__(
        self,
        ticker: Ticker,
        seconds: float,
        stop: Callable[[], object],
        give_up: Callable[[], object],
        grace: float = STOP_GRACE_SECONDS,
        person: PersonStops = _NOBODY,
    ) -> None:
        self.over = self.gave_up = False
        self._person, self._heard = person, (min(HEARD_SECONDS, grace / 4), person.heard)
        self._ticker = ticker
        self._steps = deque(((seconds, self._stop), (grace / 2, stop), (grace / 2, self._give_up)))
        self._hurries = False
        self._calls = stop, give_up
        self._lock = threading.Lock()
        self._spent = 0.0
        self._paused = 0
        self.end: Callable[[], object] = lambda: None
        """Makes no more calls. Call it again when an interrupt cuts it short."""

    def __enter__(self) -> Self:
        self._seen = time.monotonic()
        self.end = self._ticker.call(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @contextmanager
    def paused(self) -> Generator[None]:
        """The time until the user has answered does not count."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, pauses: int = 0) -> float:
        """The seconds since the last call, without pauses."""
        with self._lock:
            now = time.monotonic()
            if not self._paused:
                self._spent += now - self._seen
            self._seen = now
            self._paused += pauses
            return self._spent

    def _look(self) -> None:
        if not (self._hurries or self.over) and self._person.stopped():
            self._hurries, self._steps[0] = True, self._heard
            self._restart()
        elif self._steps and self._count() >= self._steps[0][0]:
            _, call = self._steps.popleft()
            call()
            self._restart()

    def _restart(self) -> None:
        with self._lock:
            self._seen, self._spent = time.monotonic(), 0.0

    def _stop(self) -> None:
        self.over = True
        self._calls[0]()

    def _give_up(self) -> None:
        self.gave_up = True
        self._calls[1]()
