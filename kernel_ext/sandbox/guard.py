"""Guards the code of a step while it runs live: stops the first deed that its verdict leaves open.

Knows neither verdicts nor how a person is asked. Python's audit events tell of deeds. Code in C
that raises none is not seen, nor is a program that was allowed to start. Code that finds a guard in
memory, through the garbage collector or a debugger, can end it. ctypes is an event itself.
"""

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from ...agent.permissions.cover import is_covered
from ...agent.permissions.walls import is_within
from ...agent.protocol.trials import Cover, Deed
from .deeds import (
    EVENTS,
    Arguments,
    deeds_of,
    is_of_history,
    is_of_imports,
    is_of_library,
    is_of_walk,
)

Consent = Callable[[Deed], bool]
"""Asks the person in place, on the main thread: may the code that runs do this?"""

_WRITES = frozenset(("object.__setattr__", "object.__delattr__"))
"""Events of a function that gets other code or defaults, among few others."""

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
_PACKAGES = tuple(os.path.join(_ROOT, name, "") for name in ("agent", "kernel_ext", "widgets"))


def _never() -> bool:
    return False


@dataclass(slots=True, eq=False)
class Watch:
    """The watch over the code of one step, and over all that it leaves running.

    `is_ours`: whether our own code runs here, on the step's behalf. `refused`: in order.
    """

    cover: Cover
    consent: Consent
    is_ours: Callable[[], bool] = _never
    refused: list[Deed] = field(default_factory=list[Deed])
    _process: int = field(default_factory=os.getpid)
    _addresses: set[str] = field(default_factory=set[str])

    def admit(self, deed: Deed) -> None:
        """Let a deed happen. Raises PermissionError if neither the cover nor the person allows it.

        Only the main thread of this process can ask. A walk through many folders is not asked about
        each: it goes on without.
        """
        if self._covers(deed):
            return
        here = threading.current_thread() is threading.main_thread()
        can_ask = here and os.getpid() == self._process and not is_of_walk(deed)
        if deed not in self.refused:
            if can_ask and self.consent(deed):
                self.cover = replace(self.cover, allowed=(*self.cover.allowed, deed))
                self._look_up(deed)
                return
            self.refused.append(deed)
        raise PermissionError(f"nobody allowed this step to do this: {in_short(deed)}")

    def _covers(self, deed: Deed) -> bool:
        if is_of_library(deed) or deed.call == "socket.socket":  # it speaks to nobody yet
            return True
        if deed.call == "sqlite3.connect" and is_of_history():
            return True
        if deed.kind == "network" and deed.target.rpartition(":")[0] in self._addresses:
            return True
        if deed.call == "os.mkdir" and any(
            is_within(it, (deed.target,)) for it in self.cover.caches
        ):
            return True
        if not is_covered(deed, self.cover):
            return is_of_imports(deed)
        self._look_up(deed)
        return True

    def _look_up(self, deed: Deed) -> None:
        """Whoever may look up a host may connect to its addresses, too."""
        if deed.call == "socket.getaddrinfo":
            with suppress(OSError):
                found = socket.getaddrinfo(deed.target, None)
                self._addresses.update(str(address[0]) for *_, address in found)


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)
"""The watch over the code that runs here. Tasks that a step leaves behind inherit it."""


_ours: ContextVar[bool] = ContextVar("ours", default=False)
"""Whether a tool or a question of ours runs here, which code of a step has called."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


def as_ours(function: Callable[_P, Awaitable[_R]]) -> Callable[_P, Coroutine[Any, Any, _R]]:
    """The function, not watched while code of a step waits for it."""

    async def call(*args: _P.args, **named: _P.kwargs) -> _R:
        token = _ours.set(True)
        try:
            return await function(*args, **named)
        finally:
            _ours.reset(token)

    return call


class Guard:
    """One audit hook for a kernel, put in place at the first turn.

    A hook cannot be taken away. Where no code is watched, it costs a look into two sets.
    """

    def __init__(self) -> None:
        self._threads = WeakKeyDictionary[threading.Thread, Watch]()
        self._raw: dict[int, Watch] = {}
        self._active: Watch | None = None
        self._local = threading.local()
        self._hooked = self._notes_threads = False
        self._writes = 0

    def function_writes(self) -> int:
        """How often functions of this process got other code or defaults, since the first call."""
        if not self._hooked:
            self._hooked = True
            sys.addaudithook(self._see)
        return self._writes

    @contextmanager
    def over(self, watch: Watch | None) -> Generator[Sequence[Deed]]:
        """Watch the code that runs meanwhile, its threads and its tasks. Gives what is refused."""
        if watch is None:
            yield ()
            return
        self.function_writes()
        if not self._notes_threads:
            self._notes_threads = True
            threading.Thread.start = self._noting(threading.Thread.start)
        self._carry_over()
        before = _idents()
        self._active, token, ours = watch, _watch.set(watch), _ours.set(False)
        try:
            yield watch.refused
        finally:
            _ours.reset(ours)
            _watch.reset(token)
            self._active = None
            known = {thread.ident for thread in threading.enumerate()}
            self._raw.update(dict.fromkeys(_idents() - before - known, watch))

    def _see(self, event: str, arguments: Arguments) -> None:
        if event in _WRITES:
            self._writes += 1
        if event not in EVENTS or getattr(self._local, "busy", False):
            return
        self._local.busy = True
        try:
            watch = _watch.get() or self._of_thread()
            if watch is not None and not _ours.get() and not watch.is_ours():
                for deed in deeds_of(event, arguments):
                    watch.admit(deed)
        finally:
            self._local.busy = False

    def _of_thread(self) -> Watch | None:
        """The watch over the step that started this thread.

        Threads that `threading` does not know come from `_thread`, or from libraries in C that do
        the step's work.
        """
        ident = threading.get_ident()
        if ident == threading.main_thread().ident:
            return None
        thread = threading.current_thread()
        watch = self._threads.get(thread)
        if watch is None and type(thread).__name__ == "_DummyThread":
            return self._raw.get(ident) or self._active
        return watch

    def _noting(self, original: Callable[[threading.Thread], None]) -> Any:
        """A `Thread.start` that notes whose thread it is. Ours show what the step puts out."""

        def start(thread: threading.Thread) -> None:
            if not getattr(self._local, "busy", False):
                watch = _watch.get() or self._of_thread()
                if watch is not None and not _is_of_package(thread):
                    self._threads[thread] = watch
            original(thread)

        return start

    def _carry_over(self) -> None:
        """Have the loop's own pool of threads run each call under the watch of its caller.

        Others use its threads as well, so they belong to no step.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if not isinstance(getattr(loop, "_default_executor", None), _CarryingPool):
            loop.set_default_executor(_CarryingPool(self._local))


class _CarryingPool(ThreadPoolExecutor):
    """Runs each call in the context of whoever submits it."""

    def __init__(self, local: threading.local) -> None:
        super().__init__(thread_name_prefix="asyncio")
        self._guard_local = local

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Submit a call. A thread that begins for it is nobody's."""
        before = getattr(self._guard_local, "busy", False)
        self._guard_local.busy = True
        try:
            return super().submit(copy_context().run, fn, *args, **kwargs)
        finally:
            self._guard_local.busy = before


def _idents() -> set[int]:
    """The threads in which Python runs, also those that `threading` does not know."""
    return {*sys._current_frames()}  # pyright: ignore[reportPrivateUsage]


def _is_of_package(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)
    code = getattr(getattr(target, "__func__", target), "__code__", None)
    return getattr(code, "co_filename", "").startswith(_PACKAGES)


def in_short(deed: Deed) -> str:
    """A deed in a line, for the code's error and for the output of its step."""
    through = f" ({deed.call})" if deed.call else ""
    return f"{deed.kind} {deed.target}{through}"
