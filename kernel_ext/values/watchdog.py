"""Ends a look at a value that takes too long. Knows no reader and no value.

`in_time` gives a look `LOOK_SECONDS` seconds of work. Then `TooSlow` is raised: by `check`, which
the steps of a description call, or by a timer (SIGALRM), for code that never comes to a step.

The timer raises only in our own code, or in a plugged reader and the installed code that it calls.
It never raises in an import, in the user's own code (a `__del__` may run at any time), or in a
library that our reader called.

There is no timer on other threads than main, on Windows, or if the user has a timer or handler of
their own. Then only `check` works. Nothing ends one long call into C.
"""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from math import inf
from os.path import dirname
from time import perf_counter, thread_time
from types import FrameType
from typing import TypeVar

LOOK_SECONDS = 0.05
"""Seconds that a look may work, by the clock of its thread: a busy machine hides no value."""
LOOK_GRACE_SECONDS = 0.01
"""The last part of them. It begins when the watchdog notices that the first part is over.

So a look does not end because the garbage collector delayed it.
"""
_WAITING = 0.05
"""The part of its waits that counts as work. So a look that only waits ends after a second."""
_AGAIN = 0.005
"""Seconds until the timer tries again, if it could not raise."""

MAY_END = frozenset(
    f"inkernel.kernel_ext.{name}"
    for name in (
        *("values.adapter", "values.code", "values.describe", "values.fingerprint"),
        *("values.introspect", "values.libraries", "values.plugins", "values.redact"),
        *("values.adapters.arrow", "values.adapters.dask", "values.adapters.databases"),
        *("values.adapters.evidence", "values.adapters.numpy", "values.adapters.pandas"),
        *("values.adapters.pictures", "values.adapters.polars", "values.adapters.sklearn"),
        *("values.adapters.stdlib", "values.adapters.tables", "values.adapters.torch"),
        *("values.adapters.xarray", "tools.lookup"),
    )
)
"""Modules whose code an exception may leave at any point."""

T = TypeVar("T")
R = TypeVar("R")


class TooSlow(BaseException):
    """The look took too long. It is no Exception, so that no reader handles it as its own."""


@dataclass(slots=True)
class _Look:
    """`until`: its seconds when the grace begins or, once `warned`, when it ends."""

    until: float = LOOK_SECONDS - LOOK_GRACE_SECONDS
    warned: bool = False
    _began: float = field(default_factory=perf_counter)
    _worked: float = field(default_factory=thread_time)

    def seconds(self) -> float:
        """The seconds of the look so far."""
        return max(thread_time() - self._worked, (perf_counter() - self._began) * _WAITING)

    def is_late(self) -> bool:
        now = self.seconds()
        if now < self.until:
            return False
        if self.warned:
            return True
        self.until, self.warned = now + LOOK_GRACE_SECONDS, True
        return False


_LOOK: ContextVar[_Look | None] = ContextVar("look", default=None)
_WATCHED: ContextVar[bool] = ContextVar("watched", default=False)


def in_time(look: Callable[[T], R], value: T, otherwise: Callable[[T], R]) -> R:
    """Returns `look(value)`. If that takes too long, ends it and returns `otherwise(value)`."""
    if not _WATCHED.get():
        with watching():
            return in_time(look, value, otherwise)
    token = _LOOK.set(_Look())
    try:
        return look(value)
    except TooSlow:
        pass
    finally:
        _LOOK.reset(token)
    return otherwise(value)


def check() -> None:
    """Raises TooSlow when the present look takes too long."""
    look = _LOOK.get()
    if look is not None and look.is_late():
        raise TooSlow


@contextmanager
def watching() -> Generator[None]:
    """Use one timer for all looks within. Without it, each sets its own. Leaves none behind."""
    free, token = _is_free(), _WATCHED.set(True)
    try:
        if free:
            signal.signal(signal.SIGALRM, _ring)
            signal.setitimer(signal.ITIMER_REAL, LOOK_SECONDS - LOOK_GRACE_SECONDS)
        yield
    finally:
        if free:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        _WATCHED.reset(token)


@contextmanager
def unhurried() -> Generator[None]:
    """Do not count the time within, such as the one import of a reader."""
    look = _LOOK.get()
    if look is None:
        yield
        return
    left, look.until = look.until - look.seconds(), inf
    try:
        yield
    finally:
        look.until = look.seconds() + left


def lent(read: Callable[..., R], *asked: object) -> R:
    """Returns `read(*asked)`. `read` is not ours, and may be ended within code that it calls."""
    _installed()  # so that its first call is not in a signal handler
    return read(*asked)


def _is_free() -> bool:
    """Whether a timer can be set without disturbing one of the user's."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if not hasattr(signal, "setitimer"):
        return False
    handler = signal.getsignal(signal.SIGALRM)
    unused = handler is signal.SIG_DFL or handler is _ring  # `==` might run the user's code
    blocked = signal.SIGALRM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    return unused and not blocked and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def _ring(_signum: int, frame: FrameType | None) -> None:
    look = _LOOK.get()
    late = look is not None and look.is_late()
    left = look.until - look.seconds() if look is not None else LOOK_SECONDS
    signal.setitimer(signal.ITIMER_REAL, min(max(left, _AGAIN), LOOK_SECONDS))
    if late and _may_end(frame):
        raise TooSlow


def _may_end(frame: FrameType | None) -> bool:
    """Whether an exception may leave all code within `in_time` at this point."""
    inner: list[FrameType] = []
    while frame is not None and frame.f_code is not in_time.__code__:
        if frame.f_code is lent.__code__:
            if not _is_readers(inner):
                return False
            inner = []
        else:
            inner.append(frame)
        frame = frame.f_back
    return bool(inner) and all(each.f_globals.get("__name__") in MAY_END for each in inner)


def _is_readers(frames: list[FrameType]) -> bool:
    """Whether all frames are of a plugged reader (the last one) or installed code. No finalizer."""
    home = [dirname(each.f_code.co_filename) for each in frames[-1:]]
    folders = tuple(filter(None, (*home, *_installed())))
    return all(
        each.f_code.co_filename.startswith(folders) and each.f_code.co_name != "__del__"
        for each in frames
    )


@cache
def _installed() -> tuple[str, ...]:
    from sysconfig import get_paths

    paths = get_paths()
    return tuple(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
