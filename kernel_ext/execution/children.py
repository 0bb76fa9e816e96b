"""The processes that steps started and left running. Knows no step and no tool.

It reads Linux's `/proc`. On other systems it finds none.
"""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from ...agent.frozen import frozen

_OF_POOLS = ("multiprocessing.resource_tracker", "joblib.externals.loky")
"""Helpers that libraries keep for the next step, and that end by themselves."""
_SERVER = "from multiprocessing.forkserver import main"
"""In the command of one more helper, and of the copies that it makes."""
_MOST_NAMED, _MOST_CHARS = 5, 60
_MARK = "_INKERNEL_STEPS"
"""The variable by which processes of steps are known, whatever becomes of parent and session."""
_PARENT, _SESSION, _STARTED = 1, 3, 19
"""Places of fields in `/proc/PID/stat` after the name: see proc_pid_stat(5)."""
END_SECONDS = 2.0
"""Seconds that a process has to end before it is killed."""


@frozen
class Child:
    """A process. `started`: in ticks of the system's clock, so that its number is not mistaken."""

    pid: int
    started: int
    words: str


@frozen
class Moment:
    """The time before a step. `number`: of the system's last process or thread by then.

    `known`: the children there are, if nothing tells a number. Some may have begun in the same
    tick.
    """

    ticks: int
    number: int
    known: frozenset[int]

    def may_be_new(self, pid: int, last: int) -> bool:
        """Whether a process of this number may have begun since. Numbers begin again after the
        greatest one. `last`: the present one, 0 where nothing tells it."""
        if not last or not self.number:
            return True
        if last >= self.number:
            return self.number < pid <= last
        return pid > self.number or pid <= last


class Children:
    """The processes that the steps of one kernel left running."""

    def __init__(self) -> None:
        self._left: dict[Child, None] = {}
        self._mark, self._outer = secrets.token_hex(8), os.environ.get(_MARK, "")

    def now(self) -> Moment:
        """The moment from which `since` counts. From now on, new processes are marked."""
        if not _LINUX:
            return Moment(0, 0, frozenset())
        os.environ[_MARK] = f"{self._outer} {self._mark}".strip()
        ticks = int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
        number = _last_number()
        return Moment(ticks, number, frozenset() if number else frozenset(_children(os.getpid())))

    def since(self, moment: Moment) -> Sequence[Child]:
        """The processes that began since then and still run, and their orphans. It keeps them."""
        if not _LINUX:
            return ()
        os.environ.pop(_MARK, None)
        if self._outer:  # a step of another kernel started this one
            os.environ[_MARK] = self._outer
        last = _last_number()
        if last and last == moment.number:  # nothing at all began
            return ()
        found = _own(moment, last)
        found |= _strays(moment, last, self._mark, set(found))
        self._left.update(dict.fromkeys(found.values()))
        return tuple(found.values())

    def alive(self) -> Sequence[Child]:
        """Those of all steps that still run."""
        self._left = {it: None for it in self._left if _is_alive(it)}
        return tuple(self._left)

    async def end(self, which: Iterable[Child]) -> None:
        """End these processes, with force after END_SECONDS. Waits as long."""
        which = tuple(which)
        _signal(which, signal.SIGTERM)
        until = time.monotonic() + END_SECONDS
        while any(map(_is_alive, which)) and time.monotonic() < until:
            await asyncio.sleep(0.02)
        _signal(which, signal.SIGKILL)


def children_words(found: Sequence[Child]) -> str:
    """`2 processes: 4711 sleep 100; 4712 wget …`, at most five of them."""
    named = "; ".join(f"{it.pid} {it.words}" for it in found[:_MOST_NAMED])
    more = f"; and {len(found) - _MOST_NAMED:,} more" if len(found) > _MOST_NAMED else ""
    return f"{len(found):,} process{'es' if len(found) > 1 else ''}: {named}{more}"


_LINUX = os.path.isdir("/proc/self/task")


def _last_number() -> int:
    """The number of the last process or thread that began on the system. See proc_loadavg(5)."""
    return int(_bytes_of("/proc/loadavg").split()[-1])


def _bytes_of(path: str) -> bytes:
    """A file of `/proc`, in half the system calls of a file object. It gives a page at a time."""
    file = os.open(path, os.O_RDONLY)
    try:
        return b"".join(iter(partial(os.read, file, 1 << 16), b""))
    finally:
        os.close(file)


def _own(moment: Moment, last: int) -> dict[int, Child]:
    """The living descendants that began since then, by number."""
    found: dict[int, Child] = {}
    looked, waiting = set(moment.known), [os.getpid()]
    while waiting:
        new = {it for it in _children(waiting.pop()) if moment.may_be_new(it, last)} - looked
        looked |= new
        waiting += new
        for pid in new:
            if child := _read(pid, lambda stat: int(stat[_STARTED]) >= moment.ticks):
                found[pid] = child
    return found


def _strays(moment: Moment, last: int, mark: str, known: set[int]) -> dict[int, Child]:
    """Marked processes, and of this session or copies of this one those whose parent is gone."""
    session, line = os.getsid(0), _command(os.getpid())
    found: dict[int, Child] = {}
    for name in os.listdir("/proc"):
        if not name.isdecimal() or (pid := int(name)) in known or pid == os.getpid():
            continue
        if not moment.may_be_new(pid, last):
            continue

        def is_stray(stat: list[str], pid: int = pid) -> bool:
            if int(stat[_STARTED]) < moment.ticks:
                return False
            if _is_marked(pid, mark):
                return True
            alone = not os.path.exists(f"/proc/{os.getpid()}/task/{stat[_PARENT]}")
            return alone and (int(stat[_SESSION]) == session or _command(pid) == line)

        if child := _read(pid, is_stray):
            found[pid] = child
    return found


def _is_marked(pid: int, mark: str) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        pairs = file.read().split(b"\0")
        return any(it.startswith(f"{_MARK}=".encode()) and mark.encode() in it for it in pairs)
    return False


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):
                found += map(int, _bytes_of(f"/proc/{pid}/task/{thread}/children").split())
    return found


def _is(pid: int, fits: Callable[[list[str]], bool]) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/stat", errors="replace") as file:
        return fits(file.read().rpartition(")")[2].split())
    return False


def _read(pid: int, fits: Callable[[list[str]], bool]) -> Child | None:
    """The process, if it lives and fits. Helpers of pools are none."""
    found: list[int] = []

    def lives(stat: list[str]) -> bool:
        found[:] = int(stat[_STARTED]), int(stat[_PARENT])
        return stat[0] not in "ZX" and fits(stat)

    with suppress(OSError):
        if _is(pid, lives):
            words, (started, parent) = _command(pid), found
            helpers = (*_OF_POOLS, _SERVER) if parent == os.getpid() else _OF_POOLS
            if not any(it in words for it in helpers):
                return Child(pid, started, words[:_MOST_CHARS])
    return None


def _command(pid: int) -> str:
    data = Path(f"/proc/{pid}/cmdline").read_bytes()
    return data.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


def _is_alive(child: Child) -> bool:
    return _read(child.pid, lambda stat: int(stat[_STARTED]) == child.started) is not None


def _signal(which: Iterable[Child], number: signal.Signals) -> None:
    for child in filter(_is_alive, which):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(child.pid, number)
