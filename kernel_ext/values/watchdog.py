"""Ends a look at a value that takes too long. Knows no reader and no value.

`in_time` gives a look `LOOK_SECONDS` seconds. After them `TooSlow` is raised: by `check`, which the
steps of a description call, and, for what never comes to a step, by a timer (SIGALRM). It raises
only while our own code runs, or a reader that was plugged in and installed code it calls: never in
an import, in the person's own code (a `__del__` may run at any time), or in a library that a reader
of ours called, whose return it awaits. There is no timer on another thread than the main one, on
Windows, or where the person has a timer or a handler of their own: there `check` is all. Nothing
ends one long call into C.
"""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from math import inf
from os.path import dirname
from time import perf_counter
from types import FrameType
from typing import TypeVar

LOOK_SECONDS = 0.05
"""Seconds that a look may take."""
LOOK_GRACE_SECONDS = 0.01
"""The last of them: they begin when it is noticed that the others are over.

So a look is not ended because another thread, the machine or the garbage collector kept it waiting.
"""
_AGAIN = 0.005
"""Seconds until the timer looks again, where it could not raise."""

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
"""The modules whose code may be left by an exception from anywhere."""

T = TypeVar("T")
R = TypeVar("R")


class TooSlow(BaseException):
    """The look took too long. No Exception: no reader should take it for a failure of its own."""


@dataclass(slots=True)
class _Look:
    """`until`: the time of `perf_counter` at which the grace, or after it the look, is over."""

    until: float
    warned: bool = False

    def is_late(self) -> bool:
        now = perf_counter()
        if now < self.until:
            return False
        if self.warned:
            return True
        self.until, self.warned = now + LOOK_GRACE_SECONDS, True
        return False


_LOOK: ContextVar[_Look | None] = ContextVar("look", default=None)
_WATCHED: ContextVar[bool] = ContextVar("watched", default=False)


def in_time(look: Callable[[T], R], value: T, otherwise: Callable[[T], R]) -> R:
    """`look(value)`; where that takes too long, it is ended and `otherwise(value)` is returned."""
    if not _WATCHED.get():
        with watching():
            return in_time(look, value, otherwise)
    token = _LOOK.set(_Look(perf_counter() + LOOK_SECONDS - LOOK_GRACE_SECONDS))
    try:
        return look(value)
    except TooSlow:
        pass
    finally:
        _LOOK.reset(token)
    return otherwise(value)


def check() -> None:
    """Raises TooSlow when the look that is under way takes too long."""
    look = _LOOK.get()
    if look is not None and look.is_late():
        raise TooSlow


@contextmanager
def watching() -> Generator[None]:
    """One timer for all looks within; without it each sets up its own. Leaves none behind."""
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
    """What is done within is not counted: the import of a reader, once."""
    look = _LOOK.get()
    if look is None:
        yield
        return
    left, look.until = look.until - perf_counter(), inf
    try:
        yield
    finally:
        look.until = perf_counter() + left


def lent(read: Callable[..., R], *asked: object) -> R:
    """`read(*asked)`, where `read` is not ours and may be ended in the midst of what it calls."""
    _installed()  # not for the first time in a signal handler
    return read(*asked)


def _is_free() -> bool:
    """Whether a timer can be set, and disturbs none of the person's."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if not hasattr(signal, "setitimer"):
        return False
    handler = signal.getsignal(signal.SIGALRM)
    unused = handler is signal.SIG_DFL or handler is _ring  # another's `==` is not to be asked
    blocked = signal.SIGALRM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    return unused and not blocked and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def _ring(_signum: int, frame: FrameType | None) -> None:
    look = _LOOK.get()
    late = look is not None and look.is_late()
    left = look.until - perf_counter() if look is not None else LOOK_SECONDS
    signal.setitimer(signal.ITIMER_REAL, min(max(left, _AGAIN), LOOK_SECONDS))
    if late and _may_end(frame):
        raise TooSlow


def _may_end(frame: FrameType | None) -> bool:
    """Whether all that runs within `in_time` may be left by an exception from anywhere."""
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
    """Of a plugged reader, the last of them, and of installed code; no finalizer."""
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
