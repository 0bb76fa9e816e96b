"""■ and Ctrl-C: the effect of SIGINT while a turn waits, and while code runs. Knows no turn.

ipykernel's own handler cancels an idle `await` only when the loop next wakes for another reason
(ipykernel issue 881), and cannot stop synchronous code inside an async cell.
"""

import _thread
import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn, Self

from IPython.core.interactiveshell import InteractiveShell

from .ticker import Ticker

_Handler = Callable[[int, FrameType | None], object]
_INSISTING = 2
"""The interrupt that insists."""
_STEPS = ("line", "opcode")
"""Events of a trace at which an exception may come."""
_RUNNER = vars(InteractiveShell)["run_code"].__code__
"""The shell's code that runs code."""
_PACKAGE = f"{__name__.partition('.')[0]}."
_LOOKS = 20
"""Looks, each a tick after the last one, for which a handler of the code stays before it shares."""
_UNUSED: signal.Signals | None = getattr(signal, "SIGURG", None)
"""A signal that does nothing, and that hardly any code handles."""


@dataclass(slots=True)
class Interruption:
    """Whether the person interrupted, and whether that may still cancel.

    `replaced`: code put its own handler in place, so that an interrupt may have come unseen.
    `stopping`: the next SIGINT is of a time limit, and not of the person.
    """

    came: bool = False
    over: bool = False
    replaced: bool = False
    stopping: bool = False

    def stop(self) -> None:
        """Stop code on the main thread at its time limit, from another thread."""
        self.stopping = True
        sigint()

    def take(self) -> bool:
        """Take a SIGINT. Returns whether it is the person's."""
        theirs, self.stopping = not self.stopping, False
        return theirs


@contextmanager
def cancelled_by_sigint(error: BaseException) -> Generator[Interruption]:
    """SIGINT cancels the current task at once, wherever it awaits. Then `error` is raised.

    For the main thread only.
    """
    interruption = Interruption()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def cancel() -> None:
        if not interruption.over:  # else the cancellation would hit whatever the task does next
            task.cancel(*error.args)

    def note(_signum: int, _frame: FrameType | None) -> None:
        interruption.came = True
        loop.call_soon_threadsafe(cancel)  # wakes the selector; call_soon would not

    try:
        with _handled_by(note, interruption):
            yield interruption
    except asyncio.CancelledError:
        if not (interruption.came or interruption.replaced):
            raise
        task.uncancel()  # so that it can go on and report what happened
        raise error from None
    finally:
        interruption.over = True


@contextmanager
def raised_by_sigint(interruption: Interruption, ticker: Ticker | None = None) -> Generator[None]:
    """SIGINT raises KeyboardInterrupt in synchronous code. Does nothing on other threads than main.

    Raises it at once when SIGINT came already, since the loop had no chance yet to cancel.
    `ticker`: it is code of a step, and the second one ends it, whatever the code makes of it. Then
    only the first is raised outside of that code, so that what comes after it has its effect.
    """
    insistence = _Insistence()

    def interrupt(_signum: int, frame: FrameType | None) -> None:
        if insistence.is_own(frame):
            return
        interruption.came |= interruption.take()
        if ticker is not None and not insistence.interrupted(frame):
            return
        raise KeyboardInterrupt

    sharing = _Sharing(interrupt, interruption, insistence).looking(ticker)
    with insistence, _handled_by(interrupt, interruption), sharing:
        if interruption.came:
            raise KeyboardInterrupt
        yield


@contextmanager
def raised_by_sigint_in(
    namespace: Mapping[str, object],
    interruption: Interruption,
    task: "asyncio.Task[Any]",
    ticker: Ticker,
) -> Generator[Callable[[], None]]:
    """SIGINT raises KeyboardInterrupt if code of `namespace` runs at that moment, as `task`.

    For cells with a top-level `await`. In their other tasks and callbacks it raises CancelledError,
    because a KeyboardInterrupt there would end the event loop, and the kernel with it. If other
    code runs, the earlier handler is called: while the loop waits, it cancels. Yields a function
    that stops the code from another thread. Where the code awaits, that function cancels `task`.
    The second one in code of `task` ends it, whatever the code makes of it.
    """
    before, loop = signal.getsignal(signal.SIGINT), asyncio.get_running_loop()
    handled, insistence = is_main_thread(), _Insistence()

    def interrupt(signum: int, frame: FrameType | None) -> None:
        if insistence.is_own(frame):
            return
        theirs = interruption.take()
        if _runs(namespace, frame):
            interruption.came |= theirs
            if asyncio.current_task(loop) is task:
                if insistence.interrupted(frame):
                    raise KeyboardInterrupt
                return
            task.cancel()  # at once, before a task that it waits for begins
            raise asyncio.CancelledError
        if not theirs:
            loop.call_soon_threadsafe(task.cancel)  # wakes the selector; call_soon would not
        elif callable(before):
            before(signum, frame)

    def stop() -> None:
        if handled:
            interruption.stop()
        else:
            loop.call_soon_threadsafe(task.cancel)

    sharing = _Sharing(interrupt, interruption, insistence).looking(ticker)
    with insistence, _handled_by(interrupt, interruption), sharing:
        yield stop


def is_main_thread() -> bool:
    """Whether this is the main thread, the only one that signals reach."""
    return threading.current_thread() is threading.main_thread()


def sigint() -> None:
    """Send SIGINT to the main thread, from another one."""
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):  # it also ends a system call
        signal.pthread_kill(main, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _runs(namespace: Mapping[str, object], frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals is namespace:
            return True
        frame = frame.f_back
    return False


class _Insistence:
    """From its second interrupt on, code that goes on is interrupted wherever it goes.

    It raises KeyboardInterrupt at the next line, and by a signal of its own again and again, so
    that no handler of the code catches the last one. The code may have used the first interrupt to
    save its work.
    """

    def __init__(self) -> None:
        self._depth = _depth(sys._getframe())  # pyright: ignore[reportPrivateUsage]
        self.count = 0
        self._own = False
        self._before = sys.gettrace()
        self._outermost: FrameType | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._outermost is not None:
            sys.settrace(self._before)
            self._outermost = None

    def interrupted(self, frame: FrameType | None) -> bool:
        """An interrupt came in `frame`, or in what that called. Whether it should be raised there.

        Raises KeyboardInterrupt where it insists.
        """
        self.count += 1
        inside = _depth(frame) > self._depth
        if inside and self.count >= _INSISTING:
            self._insist(frame)
        return inside or self.count == 1

    def is_own(self, frame: FrameType | None) -> bool:
        """Whether it came from here. Raises KeyboardInterrupt if the code still runs."""
        own, self._own = self._own, False
        if own and self._is_within(frame):
            self._insist(frame)
        return own

    def _insist(self, frame: FrameType | None) -> NoReturn:
        frames = [*_frames_of_code(frame)]
        if not frames:  # the shell itself is about to leave the code
            raise KeyboardInterrupt
        self._outermost = self._outermost or frames[-1]
        if frame is not None and _is_ours(frame):  # perhaps in a hook that a trace just called
            self._raise_again()
        for each in frames:
            self._trace(each, "call", None)
        sys.settrace(self._trace)
        raise KeyboardInterrupt

    def _raise_again(self) -> NoReturn:
        """Raise it now, and by a signal once this is left. A plain call would get it here."""
        self._own = True
        for _ in map(_thread.interrupt_main, (signal.SIGINT,)):
            raise KeyboardInterrupt
        raise AssertionError

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        if not self._is_within(frame):
            sys.settrace(self._before)
            return None
        if _is_ours(frame):
            return None
        if event == "call":
            frame.f_trace, frame.f_trace_opcodes = self._trace, True
        elif event in _STEPS and frame.f_lineno is not None:
            # Without a line, a traceback could not be shown. Python ends a trace that raises.
            self._raise_again()
        return self._trace

    def _is_within(self, frame: FrameType | None) -> bool:
        while frame is not None and frame is not self._outermost:
            frame = frame.f_back
        return frame is not None


@dataclass(slots=True)
class _Sharing:
    """Shares SIGINT with a handler that code of a step has put in place, and that stays for a
    second. It gets the first interrupt, and the step's `handler` all others.
    """

    handler: _Handler
    interruption: Interruption
    insistence: _Insistence
    _theirs: object = None
    _looks: int = 0

    @contextmanager
    def looking(self, ticker: Ticker | None) -> Generator[None]:
        """Look at each tick. Does nothing on other threads than main, which alone may set one."""
        if ticker is None or _UNUSED is None or not is_main_thread():
            yield
            return
        before = signal.signal(_UNUSED, self._take)
        end = ticker.call(self._look)
        try:
            yield
        finally:
            end()
            signal.signal(_UNUSED, before)

    def _look(self) -> None:
        """On the ticker's thread."""
        now = signal.getsignal(signal.SIGINT)
        self._looks = self._looks + 1 if now is self._theirs and not _is_of_steps(now) else 0
        self._theirs, main = now, threading.main_thread().ident
        if self._looks >= _LOOKS and main is not None and _UNUSED is not None:
            self._looks = 0
            signal.pthread_kill(main, _UNUSED)

    def _take(self, _signum: int, _frame: FrameType | None) -> None:
        theirs = signal.getsignal(signal.SIGINT)
        if _is_of_steps(theirs):
            return
        if not self.interruption.take():  # a time limit has sent one already
            self.insistence.count += 1

        def share(signum: int, frame: FrameType | None) -> None:
            if self.insistence.count:
                self.handler(signum, frame)
                return
            self.insistence.count += 1
            self.interruption.came |= self.interruption.take()
            if callable(theirs):
                theirs(signum, frame)

        signal.signal(signal.SIGINT, share)


def _is_of_steps(handler: object) -> bool:
    """Whether it is a handler of this file: of a step, or of one within."""
    return getattr(handler, "__globals__", None) is globals()


def _frames_of_code(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames of a step's code and of what it calls, the innermost first."""
    while frame is not None and not _runs_code(frame):
        yield frame
        frame = frame.f_back


def _depth(frame: FrameType | None) -> int:
    """How many cells and steps run here, one within the other."""
    count = 0
    while frame is not None:
        count += _runs_code(frame)
        frame = frame.f_back
    return count


def _runs_code(frame: FrameType) -> bool:
    return frame.f_code is _RUNNER


def _is_ours(frame: FrameType) -> bool:
    """Whether code of this package runs, and none that only has its name."""
    name = frame.f_globals.get("__name__")
    if type(name) is not str or not name.startswith(_PACKAGE):
        return False
    return vars(sys.modules.get(name, sys)) is frame.f_globals


@contextmanager
def _handled_by(handler: _Handler, interruption: Interruption) -> Generator[None]:
    """Handle SIGINT, and note whether code put another handler in place."""
    if not is_main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        try:
            yield
        finally:
            left = signal.getsignal(signal.SIGINT)
            interruption.replaced |= left is not handler
    finally:  # also if an interrupt comes in the lines above
        signal.signal(signal.SIGINT, before)
