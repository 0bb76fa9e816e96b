"""Guards the code of a step while it runs live: stops the first deed that its verdict leaves open.

Knows neither verdicts nor how a person is asked. Python's audit events tell of deeds. Code in C
that raises none is not seen, nor is a program that was allowed to start. Code that finds a guard in
memory, through the garbage collector or a debugger, can end it. ctypes is an event itself.
"""

import asyncio
import builtins
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from sys import _getframe  # pyright: ignore[reportPrivateUsage]
from threading import current_thread, get_ident
from types import FrameType
from typing import Any, ParamSpec, TypeVar
from weakref import ref

from ...agent.permissions.cover import is_covered
from ...agent.permissions.walls import is_within
from ...agent.protocol.trials import Cover, Deed
from .callers import exists, is_bytecode, is_of_history, is_of_library, is_of_package, is_of_walk
from .deeds import EVENTS, OWN_EVENTS, Arguments, deeds_of, give_events

Consent = Callable[[Deed], bool]
"""Asks the person in place, on the main thread: may the code that runs do this?"""
_P = ParamSpec("_P")
_R = TypeVar("_R")


_WRITES = frozenset(("object.__setattr__", "object.__delattr__"))
"""Events of a function that gets other code or defaults, among few others."""


@dataclass(slots=True, eq=False)
class Watch:
    """The watch over the code of one step, and over all that it leaves running.

    `refused`: in order.
    """

    cover: Cover
    consent: Consent
    refused: list[Deed] = field(default_factory=list[Deed])
    _looked_up: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def admit(self, deed: Deed, frame: FrameType, ask: Callable[["Watch", Deed], bool]) -> None:
        """Let a deed happen. Raises PermissionError if neither the cover nor the person allows it.

        `frame`: of the code that does it. `ask`: asks the person, where somebody can be asked. A
        walk through many folders is not asked about each: it goes on without.
        """
        if self._covers(deed, frame):
            return
        if not is_bytecode(deed, frame):  # imports go on without it, so nobody is asked
            asked = deed not in self.refused and not is_of_walk(deed, frame)
            if asked and ask(self, deed):
                self.cover = replace(self.cover, allowed=(*self.cover.allowed, deed))
                self._look_up(deed)
                return
            if deed not in self.refused:
                self.refused.append(deed)
        raise PermissionError(f"nobody allowed this step to do this: {in_short(deed)}")

    def _covers(self, deed: Deed, frame: FrameType) -> bool:
        if deed.call == "socket.socket":  # it speaks to nobody yet
            return True
        if deed.kind == "network":
            host = deed.target.rpartition(":")[0]
            if any(host in found for found in self._looked_up.values()):
                return True
        if deed.call == "os.mkdir" and any(
            is_within(it, (deed.target,)) for it in self.cover.caches
        ):
            return True
        if is_covered(deed, self.cover):
            self._look_up(deed)
            return True
        if deed.kind == "read":
            return not exists(deed.target)
        if is_of_history(deed, frame):
            return is_within(deed.target, self.cover.walls.protected)
        return is_of_library(deed, frame)

    def _look_up(self, deed: Deed) -> None:
        """Whoever may look up a host may connect to its addresses, too."""
        if deed.call == "socket.getaddrinfo" and deed.target not in self._looked_up:
            addresses = self._looked_up[deed.target] = set()
            with suppress(OSError):
                found = socket.getaddrinfo(deed.target, None)
                addresses.update(str(address[0]) for *_, address in found)


class _Sign:
    """Tells in a context whose code runs there. The guard alone knows whose."""

    __slots__ = ("__weakref__",)


_step: ContextVar[_Sign | None] = ContextVar("step_sign", default=None)
"""The sign of the step whose code runs here. Tasks that a step leaves behind inherit it."""
_ours: ContextVar[_Sign | None] = ContextVar("own_sign", default=None)
"""The sign of a tool or a question of ours that runs here, and that code of a step has called."""
_running = set[_Sign]()
"""The signs of ours that count now."""


def as_ours(function: Callable[_P, Awaitable[_R]]) -> Callable[_P, Coroutine[Any, Any, _R]]:
    """The function, not watched while code of a step waits for it."""

    async def call(*args: _P.args, **named: _P.kwargs) -> _R:
        sign = _Sign()
        token = _ours.set(sign)
        _running.add(sign)
        try:
            return await function(*args, **named)
        finally:
            _running.discard(sign)
            _ours.reset(token)

    return call


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A step under way. `threads`: those from before it. `others`: frames of tasks from before."""

    watch: Watch
    threads: frozenset[int]
    others: frozenset[FrameType]


class Guard:
    """One audit hook for a kernel, put in place at the first turn.

    A hook cannot be taken away. Until code is watched, it costs a look into two sets.
    """

    def __init__(self) -> None:
        self._main, self._process = threading.main_thread().ident, os.getpid()
        self._now: _Step | None = None
        self._signs: dict[int, tuple[Watch, object]] = {}
        self._threads: dict[int, Watch] = {}
        self._starting: dict[int, Watch] = {}
        self._local = threading.local()
        self._hooked = self._watches = False
        self._writes = 0

    def function_writes(self) -> int:
        """How often functions of this process got other code or defaults, since the first call."""
        if not self._hooked:
            self._hooked = True
            give_events()
            sys.addaudithook(self._see)
        return self._writes

    @contextmanager
    def over(self, watch: Watch | None) -> Generator[Sequence[Deed]]:
        """Watch the code that runs meanwhile, its threads and its tasks. Gives what is refused."""
        if watch is None:
            yield ()
            return
        self.function_writes()
        if not self._watches:
            self._watches = True
            threading.Thread.start = self._noting(threading.Thread.start)
            ThreadPoolExecutor.submit = self._carrying(ThreadPoolExecutor.submit)
        before = _idents()
        self._threads = {it: found for it, found in self._threads.items() if it in before}
        outer, self._now = self._now, _Step(watch, before, _frames_of_tasks())
        token, ours = _step.set(self._sign_of(watch)), _ours.set(None)
        try:
            yield watch.refused
        finally:
            self._now = outer  # first, whatever an interrupt makes of the rest
            with suppress(ValueError):  # closed elsewhere, in a context of its own
                _ours.reset(ours)
                _step.reset(token)
            for ident in _idents() - before:
                self._threads.setdefault(ident, watch)

    @contextmanager
    def within(self, watch: Watch | None) -> Generator[Sequence[Deed]]:
        """Watch the code of a call of a step by another watch: that of the call's own verdict."""
        token, ours = _step.set(self._sign_of(watch) if watch else _step.get()), _ours.set(None)
        try:
            yield watch.refused if watch else ()
        finally:
            _ours.reset(ours)
            _step.reset(token)

    def _sign_of(self, watch: Watch) -> _Sign:
        sign, signs = _Sign(), self._signs
        key = id(sign)
        signs[key] = watch, ref(sign, lambda _: signs.pop(key, None))
        return sign

    def _see(self, event: str, arguments: Arguments) -> None:
        if event in _WRITES:
            self._writes += 1
        if event not in EVENTS or not self._watches:
            return
        frame = _getframe(2 if event in OWN_EVENTS else 1)
        watch = self._watch_here(frame)
        if watch is None:
            return
        for name, it in _USED:
            if _BUILTINS.get(name) is not it:
                raise PermissionError(f"the step has replaced Python's own {name}")
        for deed in deeds_of(event, arguments, frame):
            watch.admit(deed, frame, self._ask)

    def _ask(self, watch: Watch, deed: Deed) -> bool:
        """Ask the person, if somebody can be asked here. Meanwhile our own code runs."""
        if get_ident() != self._main or os.getpid() != self._process:
            return False
        with _undisturbed():
            self._local.asking = True
            try:
                return watch.consent(deed)
            finally:
                self._local.asking = False

    def _watch_here(self, frame: FrameType) -> Watch | None:
        """The watch over the code that runs here. None over the person's code and our own."""
        local = self._local
        ours = _ours.get()
        if getattr(local, "asking", False):
            return None
        if type(ours) is _Sign and ours in _running and is_of_package(frame):
            return None
        if hasattr(local, "carried"):
            return local.carried
        found = self._signs.get(id(_step.get()))
        if found is not None:
            return found[0]
        ident = get_ident()
        if ident != self._main:
            return self._of_thread(ident)
        return None if self._now is None or _is_among(frame, self._now.others) else self._now.watch

    def _of_thread(self, ident: int) -> Watch | None:
        """The watch over the step that started this thread, by whatever means."""
        watch = self._threads.get(ident)
        if watch is None and self._starting:
            watch = self._starting.get(id(current_thread()))
        if watch is None and self._now is not None and ident not in self._now.threads:
            return self._now.watch
        return watch

    def _noting(self, original: Callable[[threading.Thread], None]) -> Any:
        """A `Thread.start` that notes whose thread it is."""

        def start(thread: threading.Thread) -> None:
            watch, before = self._watch_here(_getframe(1)), _idents()
            if watch is not None:
                self._starting[id(thread)] = watch
            try:
                original(thread)
            finally:
                self._starting.pop(id(thread), None)
                for ident in _idents() - before:
                    if watch is not None:
                        self._threads[ident] = watch
                    elif self._now is None:  # the number was one of a thread that has ended
                        self._threads.pop(ident, None)

        return start

    def _carrying(self, original: Callable[..., Any]) -> Any:
        """A `submit` that has a pool run each call under the watch of its caller.

        Others use its threads as well. Callbacks that run after a call have the same watch.
        """

        def submit(pool: Any, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
            watch = self._watch_here(_getframe(1))

            def call(*args: Any, **named: Any) -> Any:
                if get_ident() != self._main:
                    self._local.carried = watch
                return fn(*args, **named)

            return original(pool, call, *args, **named)

        return submit


@contextmanager
def _undisturbed() -> Generator[None]:
    """Have no code of the step run meanwhile: no finaliser, no tracer, no handler of a signal."""
    collects, tracer, profiler = gc.isenabled(), sys.gettrace(), sys.getprofile()
    came: list[int] = []
    handlers = {it: signal.getsignal(it) for it in signal.valid_signals() - {signal.SIGINT}}
    replaced = {it: handler for it, handler in handlers.items() if callable(handler)}
    gc.disable()
    sys.settrace(None)
    sys.setprofile(None)
    for number in replaced:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        sys.setprofile(profiler)
        sys.settrace(tracer)
        if collects:
            gc.enable()
        for number in dict.fromkeys(came):
            signal.raise_signal(number)


_BUILTINS = vars(builtins)
_USED = tuple(
    (name, _BUILTINS[name])
    for name in (
        *("any", "bytes", "getattr", "hasattr", "hash", "id", "int", "isinstance", "issubclass"),
        *("list", "map", "next", "range", "slice", "str", "tuple", "type"),
    )
)
"""Python's own names that the guard uses, as they were before code ran."""


def _idents() -> frozenset[int]:
    """The threads in which Python runs, also those that `threading` does not know."""
    return frozenset(sys._current_frames())  # pyright: ignore[reportPrivateUsage]


def _frames_of_tasks() -> frozenset[FrameType]:
    """The outermost frames of tasks that are under way and wait, so do not lead to here."""
    found: set[FrameType] = set()
    with suppress(RuntimeError):  # there is no loop
        for task in asyncio.all_tasks():
            frame: FrameType | None = getattr(task.get_coro(), "cr_frame", None)
            if frame is not None:
                found.add(frame)
    here: FrameType | None = _getframe(1)
    while here is not None:
        found.discard(here)
        here = here.f_back
    return frozenset(found)


def _is_among(frame: FrameType | None, frames: frozenset[FrameType]) -> bool:
    while frame is not None and frames:
        if frame in frames:
            return True
        frame = frame.f_back
    return False


def in_short(deed: Deed) -> str:
    """A deed in a line, for the code's error and for the output of its step."""
    through = f" ({deed.call})" if deed.call else ""
    return f"{deed.kind} {deed.target}{through}"
