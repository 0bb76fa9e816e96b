"""Runs code in a confined copy of the live kernel, and reads its report. Judges nothing.

The live kernel has nothing of it afterwards: no name, no file, no process.
"""

import asyncio
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from ...agent.frozen import frozen
from ...agent.protocol.cells import Output
from ...agent.protocol.trials import Cover, Deed, Trial
from ..shell import Shell
from ..workers.fork import signals_blocked, unsafe
from .copy_life import TrialOrder, live, mentioned
from .frames import (
    MAX_NAMES,
    MAX_WORDS,
    Receiver,
    deed_in,
    names_in,
    numbers_in,
    unpacked,
    words_in,
)
from .shell_copy import import_thread_limits
from .walls import landlock, seccomp
from .walls.readable import interpreter_files

TRIAL_SECONDS = 2.0
"""Seconds after which a trial is cut, but for those in which it waits for a processor. Its report
until then counts."""
_SLOWEST = 3
"""So many times as long it may take at most, on a machine that others keep busy."""
TRIAL_BYTES = 4 << 30
"""Bytes that a trial may take beside those that the kernel has."""
_ENDING_SECONDS = 0.1
"""Seconds that a copy has to end by itself, so that its status tells why."""
_POLARS = "polars computes with threads that a copy does not have"
_PATH = re.compile(r"/[^\s'\",:;()<>]+")
_STATUS = frozenset(("ok", "error", "cut"))


async def run_trial(
    shell: Shell,
    code: str,
    cover: Cover,
    secrets: Sequence[str] = (),
    seconds: float = TRIAL_SECONDS,
) -> Trial:
    """Run code in a copy, on the main thread. `cover`: what its live run may do without a question.

    `secrets`: texts that the copy must not hold. Cancelling it ends the copy, as does the end of
    this process. Never raises for the code's sake.
    """
    if why := no_trial() or _no_trial_of(shell, code):
        return Trial(status="none", why=why)
    import_thread_limits()
    scratch = os.path.realpath(tempfile.mkdtemp(prefix="trial-"))
    (ours, theirs), (ear, told) = os.pipe(), os.pipe()
    readable = tuple(interpreter_files(os.path.expanduser("~")))
    order = TrialOrder(code, cover, readable, scratch, theirs, told, tuple(secrets), TRIAL_BYTES)
    started = time.monotonic()
    try:
        with signals_blocked() as mask:
            pid = os.fork()
            if pid == 0:
                live(shell, order, mask)
    except OSError as error:
        os.close(ours)
        os.close(ear)
        return Trial(status="none", why=f"the system refuses another process: {error.strerror}")
    finally:
        os.close(theirs)
        os.close(told)
    report = _Report()
    try:
        await _listen(ours, ear, report, _Clock(seconds, pid))
    finally:
        os.close(ours)
        os.close(ear)
        report.ended = _end(pid, report.gone)
        shutil.rmtree(scratch, ignore_errors=True)
    seconds = time.monotonic() - started
    if report.late and _polars_computes():
        return Trial(status="none", why=f"it waited, and {_POLARS}", seconds=seconds)
    return replace(report.trial(), seconds=seconds)


def no_trial() -> str:
    """The reason why no copy can be made now. Empty if one can."""
    if why := unsafe():
        return why
    if not landlock.version() or not seccomp.is_known():
        return "this system has no Landlock"
    if shared := _shared_mapping():
        return f"{shared} is in memory for writing, and a copy would write to it"
    return ""


def _no_trial_of(shell: Shell, code: str) -> str:
    """The reason why no copy can run this code. Code that reaches polars in a way that is not seen
    here waits in the copy, which shows nothing then."""
    if not _polars_computes():
        return ""
    names: Mapping[str, object] = shell.user_ns
    used = mentioned(code, names)
    seen = "polars" in code or any(_is_of_polars(names[it], names) for it in used)
    return _POLARS if seen else ""


def _polars_computes() -> bool:
    return any(name.startswith("polars") for name in _thread_names())


def _is_of_polars(value: object, names: Mapping[str, object], deep: bool = True) -> bool:
    """Whether it is of the library, or a function that names something that is."""
    if isinstance(value, FunctionType):
        used = (names.get(it) for it in value.__code__.co_names) if deep else ()
        return any(_is_of_polars(it, names, deep=False) for it in used)
    name = value.__name__ if isinstance(value, ModuleType) else type(value).__module__
    return str(name).partition(".")[0] == "polars"


def wall_words() -> str:
    """The walls that a trial has on this system, where one is possible."""
    return f"Landlock {landlock.version()} and seccomp, in a copy of the kernel"


@dataclass(slots=True)
class _Report:
    """The report of a copy, as far as it came."""

    receiver: Receiver = field(default_factory=Receiver)
    heard: Receiver = field(default_factory=Receiver)
    outputs: list[Output] = field(default_factory=list[Output])
    denied: dict[Deed, None] = field(default_factory=dict[Deed, None])
    deeds: dict[Deed, None] = field(default_factory=dict[Deed, None])
    walls: str = ""
    end: dict[str, Any] | None = None
    processes: tuple[int, ...] = ()
    late: bool = False
    gone: bool = False
    ended: int = 0

    def take(self, data: bytes) -> bool:
        """Take what came. True at the end of the report."""
        for kind, value in self.receiver.feed(data):
            match kind:
                case "output" if (output := unpacked(value)) and len(self.outputs) < MAX_NAMES:
                    self.outputs.append(output)
                case "clear":
                    self.outputs.clear()
                case "denied" | "deed" if deed := deed_in(value):
                    found = self.denied if kind == "denied" else self.deeds
                    if len(found) < MAX_NAMES:
                        found[deed] = None
                case "processes":
                    self.processes = numbers_in(value)
                case "walls" if isinstance(value, str):
                    self.walls = value[:MAX_WORDS]
                case "end" if isinstance(value, dict):
                    self.end = value
                    return True
                case _:
                    pass
        return False

    def hear(self, data: bytes) -> None:
        """Take what came from the process that hears the copy."""
        for kind, value in self.heard.feed(data):
            if kind == "denied" and (deed := deed_in(value)):
                self._deny(deed)

    def _deny(self, deed: Deed) -> None:
        if len(self.denied) < MAX_NAMES:
            self.denied[deed] = None

    def trial(self) -> Trial:
        """The report as a value."""
        found = Trial(
            status="cut",
            outputs=tuple(self.outputs),
            denied=tuple(_once(self.denied)),
            deeds=tuple(self.deeds),
            protection=self.walls,
        )
        if self.end is None:
            return found if self.late else replace(found, status="killed", why=_death(self.ended))
        status = self.end.get("status")
        return replace(
            found,
            status=status if isinstance(status, str) and status in _STATUS else "killed",
            error=words_in(self.end, "error"),
            why=words_in(self.end, "why"),
            created=names_in(self.end, "created"),
            rebound=names_in(self.end, "rebound"),
            changed=names_in(self.end, "changed"),
            deleted=names_in(self.end, "deleted"),
        )


def _once(denied: Iterable[Deed]) -> Iterator[Deed]:
    """The refusals without errors about a path of which another refusal tells."""
    targets = {it.target for it in denied}
    for it in denied:
        paths = map(os.path.normpath, _PATH.findall("" if it.target else it.call))
        if targets.isdisjoint(paths):
            yield it


@frozen
class _Clock:
    """The time of a trial. `process`: the copy's first one."""

    seconds: float
    process: int


async def _listen(descriptor: int, ear: int, report: _Report, clock: _Clock) -> None:
    """Read the report until it ends, the copy is gone, or the time is up.

    `ear`: of the process that hears the copy, which tells of a deed before it happens.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    os.set_blocking(descriptor, False)
    os.set_blocking(ear, False)

    def read() -> None:
        try:
            data = os.read(descriptor, 1 << 20)
        except BlockingIOError:
            return
        report.gone = not data
        if (report.gone or report.take(data)) and not done.done():
            done.set_result(None)

    def hear() -> None:
        with suppress(BlockingIOError):
            while data := os.read(ear, 1 << 20):
                report.hear(data)
            loop.remove_reader(ear)

    loop.add_reader(descriptor, read)
    loop.add_reader(ear, hear)

    def waited() -> float:
        return _waited_seconds((clock.process, *report.processes))

    try:
        report.late = await _is_late(done, clock.seconds, waited)
    finally:
        hear()
        loop.remove_reader(descriptor)
        loop.remove_reader(ear)


async def _is_late(done: asyncio.Future[None], seconds: float, waited: Callable[[], float]) -> bool:
    """Wait until it is done or the time is up. `waited`: seconds that do not count."""
    began, most = time.monotonic(), seconds
    while not done.done() and (left := began + most - time.monotonic()) > 0:
        await asyncio.wait((done,), timeout=left)
        most = seconds + min(waited(), seconds * (_SLOWEST - 1))
    return not done.done()


def _waited_seconds(processes: Iterable[int]) -> float:
    """How long processes were ready to run, and others ran. 0 where the system does not tell it.

    https://docs.kernel.org/scheduler/sched-stats.html
    """
    found = 0
    for process in processes:
        with suppress(OSError, ValueError, IndexError):
            found += int(Path(f"/proc/{process}/schedstat").read_text().split()[1])
    return found / 1e9


def _end(pid: int, gone: bool) -> int:
    """Kill the copy, with all its descendants, and wait for it. Returns its status.

    `gone`: it closed its line, so it should be ending by itself.
    """
    until = time.monotonic() + (_ENDING_SECONDS if gone else 0)
    while gone and time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.001)
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:  # somebody waits for all children
        return 0


def _death(status: int) -> str:
    code = os.waitstatus_to_exitcode(status) if status else 0
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"its process ended itself with code {code}"
    return f"its process was ended by {name}"


def _thread_names() -> Sequence[str]:
    found: list[str] = []
    for name in Path("/proc/self/task").glob("*/comm"):
        with suppress(OSError):
            found.append(name.read_text())
    return found


def _shared_mapping() -> str:
    """A file or a piece of memory that is shared with others, and written by this process."""
    with suppress(OSError), open("/proc/self/maps") as maps:
        for line in maps:
            parts = line.split(None, 5)
            semaphore = len(parts) > 5 and parts[5].startswith("/dev/shm/sem.")  # of a pool
            if parts[1].startswith("rw") and parts[1].endswith("s") and not semaphore:
                return parts[5].strip() if len(parts) > 5 else "a piece of shared memory"
    return ""
