"""The processes that steps started and left running. Knows no step and no tool.

It reads Linux's `/proc`. On other systems it finds none.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ...agent.frozen import frozen

_OF_POOLS = ("multiprocessing.resource_tracker", "joblib.externals.loky")
"""Helpers that libraries keep for the next step, and that end by themselves."""
_MOST_NAMED, _MOST_CHARS = 5, 60
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
    """The time before a step. `faults`: page faults of the children that are over by then.

    `known`: the children there are. Some may have begun in the same tick.
    """

    ticks: int
    faults: int
    known: frozenset[int]


class Children:
    """The processes that the steps of one kernel left running."""

    def __init__(self) -> None:
        self._left: dict[Child, None] = {}

    def now(self) -> Moment:
        """The moment from which `since` counts."""
        if not _LINUX:
            return Moment(0, 0, frozenset())
        ticks = int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
        return Moment(ticks, _faults(), frozenset(_children(os.getpid())))

    def since(self, moment: Moment) -> Sequence[Child]:
        """The processes that began since then and still run, and their orphans. It keeps them."""
        if not _LINUX:
            return ()
        found, any_began = _own(moment)
        if any_began or _faults() != moment.faults:  # so there may be orphans
            found |= _orphans(moment.ticks, set(found))
        self._left.update(dict.fromkeys(found.values()))
        return tuple(found.values())

    def alive(self) -> Sequence[Child]:
        """Those of all steps that still run."""
        self._left = {it: None for it in self._left if _is_alive(it)}
        return tuple(self._left)

    def end(self, which: Iterable[Child]) -> None:
        """End these processes, with force after END_SECONDS. Waits as long."""
        which = tuple(which)
        _signal(which, signal.SIGTERM)
        until = time.monotonic() + END_SECONDS
        while any(map(_is_alive, which)) and time.monotonic() < until:
            time.sleep(0.02)
        _signal(which, signal.SIGKILL)


def children_words(found: Sequence[Child]) -> str:
    """`2 processes: 4711 sleep 100; 4712 wget …`, at most five of them."""
    named = "; ".join(f"{it.pid} {it.words}" for it in found[:_MOST_NAMED])
    more = f"; and {len(found) - _MOST_NAMED:,} more" if len(found) > _MOST_NAMED else ""
    return f"{len(found):,} process{'es' if len(found) > 1 else ''}: {named}{more}"


_LINUX = os.path.isdir("/proc/self/task")


def _faults() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt


def _own(moment: Moment) -> tuple[dict[int, Child], bool]:
    """The living descendants that began since then, by number, and whether any began at all."""
    found: dict[int, Child] = {}
    looked, waiting = set(moment.known), [os.getpid()]
    began = False

    def is_new(stat: list[str]) -> bool:
        return int(stat[_STARTED]) >= moment.ticks

    while waiting:
        new = set(_children(waiting.pop())) - looked
        looked |= new
        waiting += new
        for pid in new:
            began = began or _is(pid, is_new)
            if child := _read(pid, is_new):
                found[pid] = child
    return found, began


def _orphans(ticks: int, known: set[int]) -> dict[int, Child]:
    """Processes of this session, or copies of this one, whose parent is gone."""
    session, line = os.getsid(0), _command(os.getpid())
    found: dict[int, Child] = {}
    for name in os.listdir("/proc"):
        if not name.isdecimal() or (pid := int(name)) in known or pid == os.getpid():
            continue
        child = _read(
            pid,
            lambda stat, pid=pid: (
                int(stat[_STARTED]) >= ticks
                and not os.path.exists(f"/proc/{os.getpid()}/task/{stat[_PARENT]}")
                and (int(stat[_SESSION]) == session or _command(pid) == line)
            ),
        )
        if child:
            found[pid] = child
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    return found


def _is(pid: int, fits: Callable[[list[str]], bool]) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/stat", errors="replace") as file:
        return fits(file.read().rpartition(")")[2].split())
    return False


def _read(pid: int, fits: Callable[[list[str]], bool]) -> Child | None:
    """The process, if it lives and fits. Helpers of pools are none."""
    started: list[int] = []

    def lives(stat: list[str]) -> bool:
        started.append(int(stat[_STARTED]))
        return stat[0] not in "ZX" and fits(stat)

    with suppress(OSError):
        if _is(pid, lives) and not any(it in (words := _command(pid)) for it in _OF_POOLS):
            return Child(pid, started[0], words[:_MOST_CHARS])
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
