"""One call at a server while it lasts: what the server asks and tells reaches the one who waits.

The server's end is on the service loop, the caller's end in the task that waits. Knows no SDK.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, TypeVar

from ...frozen import frozen

T = TypeVar("T")
Answered = dict[str, Any]
"""A result of the protocol, with its own names."""
TELLS_PER_SECOND = 10
_CANCELLED: Answered = {"action": "cancel"}


@frozen
class ServerQuestion:
    """A request of a server during a call. `params`: with the protocol's own names."""

    server: str
    kind: Literal["elicitation", "sampling", "login"]
    params: Mapping[str, Any]


async def refuse(_question: ServerQuestion) -> Answered:
    """The answer where nobody is asked."""
    return {"action": "decline"}


@frozen
class Caller:
    """The one who waits for a call. `answer`: in the task that waits. `hear`: of the progress."""

    answer: Callable[[ServerQuestion], Awaitable[Answered]] = refuse
    hear: Callable[[str], object] = lambda _text: None


class CallLine:
    """Between a call on the service loop and its caller. Made by the caller."""

    def __init__(self, caller: Caller) -> None:
        self._caller, self._loop = caller, asyncio.get_running_loop()
        self._news = asyncio.Queue[tuple[ServerQuestion, Future[Answered]] | str | None]()
        self._said, self._free = "", 0.0
        self._later: asyncio.TimerHandle | None = None

    async def ask(self, question: ServerQuestion) -> Answered:
        """The caller's answer. Called on the service loop."""
        answer = Future[Answered]()
        self._loop.call_soon_threadsafe(self._news.put_nowait, (question, answer))
        return await asyncio.wrap_future(answer)

    def tell(self, text: str) -> None:
        """Tell the caller, so many times a second at most. Called on the service loop."""
        self._said = text
        if self._later is None:
            loop = asyncio.get_running_loop()
            self._later = loop.call_at(self._free, self.flush)

    def flush(self) -> None:
        """Tell the last text, if it is not told yet. Called on the service loop."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
            self._free = asyncio.get_running_loop().time() + 1 / TELLS_PER_SECOND
            self._loop.call_soon_threadsafe(self._news.put_nowait, self._said)

    async def wait(self, work: Future[T]) -> T:
        """The result of the call. Meanwhile its questions are answered, in this task.

        A cancellation here cancels the call there.
        """
        done = asyncio.wrap_future(work)
        done.add_done_callback(lambda _: self._news.put_nowait(None))
        try:
            while (news := await self._news.get()) is not None:
                if isinstance(news, str):
                    self._caller.hear(news)
                    continue
                question, answer = news
                if answer.set_running_or_notify_cancel():
                    given = _CANCELLED
                    try:
                        given = await self._caller.answer(question)
                    finally:
                        answer.set_result(given)
            return await done
        finally:
            done.cancel()
            self._take_back()

    def _take_back(self) -> None:
        """End the questions that nobody answers any more."""
        while not self._news.empty():
            if isinstance(news := self._news.get_nowait(), tuple):
                news[1].cancel()


class CallClock:
    """The time limit of a call, without the time in which a person is asked. `over`: it ended."""

    def __init__(self, seconds: float) -> None:
        self.limit = asyncio.timeout(seconds)
        self.over = False
        self._pauses, self._left = 0, 0.0

    @contextmanager
    def paused(self) -> Generator[None]:
        """Meanwhile it stops. Pauses may overlap."""
        loop = asyncio.get_running_loop()
        if not (self._pauses or self.over) and (end := self.limit.when()) is not None:
            self._left = end - loop.time()
            self.limit.reschedule(None)
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if not (self._pauses or self.over):
                self.limit.reschedule(loop.time() + self._left)


class CallsUnderWay:
    """The calls at one server, the latest last."""

    def __init__(self) -> None:
        self._calls: list[tuple[CallLine, CallClock]] = []

    @contextmanager
    def begun(self, line: CallLine, clock: CallClock) -> Generator[None]:
        """Meanwhile this call is one of them."""
        self._calls.append((line, clock))
        try:
            yield
        finally:
            self._calls.remove((line, clock))
            clock.over = True
            line.flush()

    async def ask(self, question: ServerQuestion) -> Answered:
        """Ask whoever waits for the latest call, since a server need not say for which it asks.

        Meanwhile the time of all calls stops. Without a call, nobody is asked.
        """
        if not self._calls:
            return await refuse(question)
        with ExitStack() as stack:
            for _, clock in self._calls:
                stack.enter_context(clock.paused())
            return await self._calls[-1][0].ask(question)
