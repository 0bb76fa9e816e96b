"""How long we wait for a silent server. Knows no transport and no protocol."""

import asyncio
from collections.abc import Awaitable
from typing import Self, TypeVar

from ..config.settings import Settings
from ..errors import StreamBrokenError

T = TypeVar("T")

GRACE = 2.0
"""Seconds in which the counts of an answer that has ended must come, and the end of its stream."""


class StreamTimeouts:
    """The time limits of one response: until its first event, then between two events.

    Only the task that made it may wait. One timer serves all waits. When it fires, it checks the
    deadline, so that it need not be set anew for each event.
    """

    def __init__(self, server: str, settings: Settings) -> None:
        self._server = server
        self._first = settings.first_event_timeout
        self._idle = settings.idle_timeout
        self._heard = False
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + settings.connect_timeout + self._first
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task else 0
        self._waiting = self._over = self._slept = False
        self._timer = self._loop.call_at(self._deadline, self._look)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def asked(self) -> None:
        """Note that the request is sent. The time to the first event counts from now."""
        self._begin(self._first)

    def ended(self) -> None:
        """Note that the model has ended its answer. Only its counts may follow, within `GRACE`."""
        if self._idle > GRACE:
            self._idle = GRACE
            self._begin(GRACE)

    def heard(self) -> None:
        """Note that an event came."""
        if self._heard:
            self._deadline = self._loop.time() + self._idle
        else:
            self._heard = True
            self._begin(self._idle)

    async def wait(self, coming: Awaitable[T]) -> T:
        """The result of `coming`. Raises StreamBrokenError when it does not come in time."""
        if self._slept:  # our own side was slow, not the server
            self._slept = False
            self._begin(self._idle if self._heard else self._first)
        self._waiting = True
        try:
            return await coming
        except asyncio.CancelledError:
            # A cancellation beside our own is another's, so it goes on.
            if self._over and self._task and self._task.uncancel() <= self._cancelling:
                raise self._silent() from None
            raise
        finally:
            self._waiting = False

    def _begin(self, seconds: float) -> None:
        self._timer.cancel()
        self._deadline = self._loop.time() + seconds
        self._timer = self._loop.call_at(self._deadline, self._look)

    def _look(self) -> None:
        """Check the deadline, which moves while events come. Cancel the wait if it is over."""
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._look)
        elif self._waiting and self._task:
            self._over = True
            self._task.cancel()
        else:
            self._slept = True

    def _silent(self) -> StreamBrokenError:
        hint = "The conversation is kept. Run the cell again."
        if self._heard:
            return StreamBrokenError(
                f"{self._server} fell silent for {self._idle:g} s in its answer.", hint
            )
        return StreamBrokenError(
            f"{self._server} did not begin to answer within {self._first:g} s.",
            f"{hint} `%agent config first_event_timeout SECONDS` waits longer.",
        )
