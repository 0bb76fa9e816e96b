"""How long a silent server is waited for. Knows no transport and no protocol."""

import asyncio
from collections.abc import Awaitable
from typing import Self, TypeVar

from ..config.settings import Settings
from ..errors import StreamBrokenError

T = TypeVar("T")


class StreamTimeouts:
    """The time limits of one response: until its first event, then between two of them.

    All waits are of the task that made it. One timer serves them: it looks whether the time is
    over, instead of being set for each.
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
        """The request is out: from here the time to the first event counts."""
        self._begin(self._first)

    def heard(self) -> None:
        """An event came."""
        if self._heard:
            self._deadline = self._loop.time() + self._idle
        else:
            self._heard = True
            self._begin(self._idle)

    async def wait(self, coming: Awaitable[T]) -> T:
        """What comes in time. Raises StreamBrokenError when it does not."""
        if self._slept:  # our own side was slow, not the server
            self._slept = False
            self._begin(self._idle if self._heard else self._first)
        self._waiting = True
        try:
            return await coming
        except asyncio.CancelledError:
            # Another cancellation beside ours is somebody else's, and goes on.
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
        """The time was over when the timer was set; it is, if nothing was heard since."""
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._look)
        elif self._waiting and self._task:
            self._over = True
            self._task.cancel()
        else:
            self._slept = True

    def _silent(self) -> StreamBrokenError:
        hint = "The conversation is kept; run the cell again."
        if self._heard:
            return StreamBrokenError(
                f"{self._server} fell silent for {self._idle:g} s in its answer.", hint
            )
        return StreamBrokenError(
            f"{self._server} did not begin to answer within {self._first:g} s.",
            f"{hint} `%agent config first_event_timeout SECONDS` waits longer.",
        )
