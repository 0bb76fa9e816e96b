"""Puts a forked copy behind walls: namespaces where they work, Landlock, seccomp, limits.

Knows no shell and no code. Everything here happens in the copy, before any code runs in it.
"""

import os
import resource
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from ....agent.frozen import frozen
from ....agent.permissions.walls import is_within
from ....agent.protocol.trials import Walls
from . import landlock, seccomp
from .namespaces import Mounts, end_with_parent, give_up_rights, mounts_below

MAX_WRITTEN_BYTES = 1 << 30
"""Bytes of one file that a copy writes."""
MEMORY_TO_TELL = 256 << 20
"""Bytes above its limit that a copy gets to tell that it has reached it."""
MAX_PROCESSES = 256
MAX_FILES = 1024
MAX_MOUNTS = 64
"""Folders of the workspace that are mounted by themselves, and that a copy sees."""
_SIZE = resource.RLIMIT_AS


def give_memory_to_tell() -> None:
    """Raise the limit of memory, so that an error can be shown."""
    most = resource.getrlimit(_SIZE)[1]
    resource.setrlimit(_SIZE, (most, most))


@frozen
class DiskView:
    """The disk as a copy sees it. `uppers`: of each workspace folder, where writes to it go.

    Without namespaces there are none, and the workspace is only read.
    """

    mounts: Mounts | None = None
    uppers: tuple[tuple[str, str], ...] = ()
    held: tuple[int, ...] = ()
    """Descriptors of these folders. Their paths are below what they cover."""
    hidden: tuple[str, ...] = ()
    """Secrets of which only the names are left. They may be listed, as whoever finds a name there
    goes on to open it."""

    @property
    def words(self) -> str:
        """The walls that are in force, for the person."""
        if self.mounts is None:
            return "Landlock and seccomp; no namespaces, so it writes no files"
        return "namespaces, Landlock and seccomp"


def enter_view(walls: Walls, scratch: str) -> DiskView:
    """Give the process its own view of the disk, and its children processes of their own."""
    mounts = Mounts(scratch)
    try:
        mounts.enter()
    except OSError:
        return DiskView()
    uppers: list[tuple[str, str]] = []
    held: list[int] = []
    for folder, below in _opened(walls.workspace, scratch):
        try:
            held.append(mounts.overlay(folder, below))
            uppers.append((folder, f"/proc/self/fd/{held[-1]}"))
        except OSError:  # some file systems cannot lie below others, and no file can
            with suppress(OSError):
                mounts.show(folder, below)
        os.close(below)
    hidden: list[str] = []
    for path in walls.secret:
        with suppress(OSError):
            if os.path.lexists(path):
                mounts.hide(path)
                hidden.append(path)
    return DiskView(mounts, tuple(uppers), tuple(held), tuple(hidden))


def become_second_process(hear: Callable[[int], object]) -> None:
    """Return in the second process of a new namespace. The others wait for it, and end as it does.

    The first process of a namespace ignores signals that would end it, so code must not run there.
    When it ends, all others of the namespace are killed. It calls `hear` with the second one's
    number, to hear it until it ends.
    """
    end_with_parent()  # after `enter_view`, which would undo it
    if pid := os.fork():
        _end_with(pid)
    end_with_parent()
    if pid := os.fork():
        try:
            hear(pid)
        finally:
            _end_with(pid)
    end_with_parent()


def _end_with(pid: int) -> NoReturn:
    os.closerange(0, 1 << 16)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def close_walls(
    readable: Sequence[str],
    walls: Walls,
    view: DiskView,
    scratch: str,
    memory: int,
    heard: Callable[[], object],
) -> None:
    """Close the walls. `memory`: bytes that it may take beside those it has. `heard`: is called
    at the end, where another process hears what this one does. Raises OSError."""
    written = [folder for folder, _ in view.uppers]
    if view.mounts is not None:
        view.mounts.own_processes()
    if len(os.listdir("/proc/self/task")) > 1:
        raise OSError(0, "a thread runs that the walls would not hold")
    if view.mounts is None and landlock.version() < 6:
        raise OSError(0, "without namespaces, this system cannot keep signals within a copy")
    readable = [*readable, *(upper for _, upper in view.uppers), *view.hidden]
    if view.mounts is None:
        readable = [it for it in readable if not _holds_secret(it, walls)]
        readable = [it for it in readable if it != "/proc"] + [f"/proc/{os.getpid()}"]
    _limit(memory, own_processes=view.mounts is not None)
    landlock.restrict(readable, [scratch, "/dev/shm", *written] if view.mounts else [])
    give_up_rights()
    if view.mounts is None:
        seccomp.install((*seccomp.REFUSED_CALLS, *seccomp.SHARED_CALLS))
    else:
        refused = [it for it in seccomp.REFUSED_CALLS if it not in seccomp.OF_SOCKETS]
        seccomp.install(refused, pretended=())
        heard()


def _limit(memory: int, own_processes: bool) -> None:
    with open("/proc/self/statm") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    limits = [
        (_SIZE, mapped + memory),
        (resource.RLIMIT_FSIZE, MAX_WRITTEN_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, MAX_FILES),
    ]
    if own_processes:  # else it would count all processes of the user
        limits.append((resource.RLIMIT_NPROC, MAX_PROCESSES))
    for which, most in limits:
        with suppress(ValueError, OSError):
            resource.setrlimit(which, (most, most + MEMORY_TO_TELL if which == _SIZE else most))


def _holds_secret(folder: str, walls: Walls) -> bool:
    """Whether a secret is somewhere in the folder. Only namespaces can hide it there."""
    return any(is_within(it, (folder,)) and os.path.lexists(it) for it in walls.secret)


def _opened(workspace: Sequence[str], scratch: str) -> Sequence[tuple[str, int]]:
    """The folders of the workspace, and what is mounted below them, opened before they are covered.

    Each comes before those within it.
    """
    found: list[tuple[str, int]] = []
    for folder in _outermost(workspace):
        places = [folder, *(it for it in mounts_below(folder) if it != scratch)]
        for place in places[:MAX_MOUNTS]:
            with suppress(OSError):
                found.append((place, os.open(place, os.O_PATH | os.O_CLOEXEC)))
    return found


def _outermost(folders: Sequence[str]) -> Sequence[str]:
    return [it for it in folders if not is_within(it, [o for o in folders if o != it])]
