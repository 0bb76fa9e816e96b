"""Namespaces of a forked process: its own processes, and its own view of some folders. Linux.

Knows no kernel and no policy. Works without rights where the system lets users make namespaces.
"""

import ctypes
import os
import re
import signal
import struct
from collections.abc import Sequence
from contextlib import suppress

_MOUNTS, _IPC, _USER, _PIDS = 0x20000, 0x8000000, 0x10000000, 0x20000000
_REC, _PRIVATE, _BIND = 0x4000, 0x40000, 0x1000
_SET_MOUNTS, _HERE, _ALL, _ONLY_READ = 442, -100, 0x8000, 1
"""`mount_setattr`, with the same number everywhere. Linux 5.12."""
_DEATH_SIGNAL, _DROP_BOUND = 1, 24
_LAST_CAPABILITY = 63
MAX_DECOYS = 200
"""Names of a hidden folder that stay."""
_OCTAL = re.compile(r"\\(\d{3})")
"""Blanks and such in a path of `/proc/self/mountinfo`."""


class Mounts:
    """The disk as a process sees it after `enter`. Raises OSError where the system refuses."""

    def __init__(self, scratch: str) -> None:
        """`scratch`: an empty folder, which becomes one in memory."""
        self.scratch = scratch
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._overlays = 0
        self._held = -1

    def enter(self) -> None:
        """Leave the user's namespaces for new ones, in which nothing of the disk can be changed.

        The process must have one thread.
        """
        user, group = os.getuid(), os.getgid()
        self._call(self._libc.unshare(_USER | _MOUNTS | _IPC))
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        self._mount("none", "/", "", _REC | _PRIVATE)
        only_read = struct.pack("QQQQ", _ONLY_READ, 0, 0, 0)
        self._call(
            self._libc.syscall(_SET_MOUNTS, _HERE, b"/", _ALL, only_read, ctypes.c_size_t(32))
        )
        self._mount("tmpfs", self.scratch, "tmpfs", 0, "mode=700")
        with suppress(OSError):
            self._mount("tmpfs", "/dev/shm", "tmpfs")
        self._held = os.open(self.scratch, os.O_PATH | os.O_CLOEXEC)
        self._call(self._libc.unshare(_PIDS))  # last: who fails before it can still do without

    def overlay(self, folder: str, below: int) -> int:
        """Writes below `folder` go to another folder from now on. Returns its descriptor.

        `below`: a descriptor of the folder, since a path may have characters that an option of a
        mount does not take.
        """
        self._overlays += 1
        upper, work = (
            f"/proc/self/fd/{self._held}/{kind}-{self._overlays}" for kind in ("upper", "work")
        )
        os.mkdir(upper)
        os.mkdir(work)
        held = os.open(upper, os.O_PATH | os.O_CLOEXEC)
        lower = f"/proc/self/fd/{below}"
        options = f"lowerdir={lower},upperdir={upper},workdir={work},userxattr"
        self._mount("overlay", folder, "overlay", 0, options)
        return held

    def show(self, path: str, held: int) -> None:
        """Show again, for reading, what an overlay above it covers. `held`: its descriptor."""
        self._mount(f"/proc/self/fd/{held}", path, "", _BIND)

    def hide(self, path: str) -> None:
        """The names stay, and all files are empty. So code that looks first goes on to open them.

        Of a large folder, only the first names stay.
        """
        self._overlays += 1
        decoy = f"/proc/self/fd/{self._held}/decoy-{self._overlays}"
        if not os.path.isdir(path):
            open(decoy, "w").close()
        else:
            os.mkdir(decoy, 0o700)
            for name in _names_below(path):
                _make_empty(os.path.join(decoy, name), os.path.isdir(os.path.join(path, name)))
        self._mount(decoy, path, "", _BIND)

    def own_processes(self) -> None:
        """/proc shows the processes of this namespace alone. Call it in one of them."""
        self._mount("proc", "/proc", "proc")

    def _mount(self, source: str, target: str, kind: str, flags: int = 0, more: str = "") -> None:
        texts = (it.encode() for it in (source, target, kind))
        self._call(self._libc.mount(*texts, ctypes.c_ulong(flags), more.encode()))

    @staticmethod
    def _call(result: int) -> None:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def _names_below(folder: str) -> Sequence[str]:
    """Files and folders below it, relative to it, each folder before what it holds."""
    found: list[str] = []
    for place, folders, files in os.walk(folder):
        folders.sort()
        here = os.path.relpath(place, folder)
        found += [os.path.normpath(os.path.join(here, it)) for it in (*folders, *sorted(files))]
        if len(found) >= MAX_DECOYS:
            break
    return found[:MAX_DECOYS]


def _make_empty(path: str, folder: bool) -> None:
    with suppress(OSError):
        os.mkdir(path) if folder else open(path, "x").close()


def give_up_rights() -> None:
    """Drop every capability, also those that the process has within its own namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_LAST_CAPABILITY + 1):
        libc.prctl(_DROP_BOUND, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    libc.capset(header, (ctypes.c_uint32 * 6)())


def mounts_below(folder: str) -> Sequence[str]:
    """The places below a folder where something else is mounted, the outermost first."""
    with suppress(OSError), open("/proc/self/mountinfo", errors="surrogateescape") as file:
        places = (_OCTAL.sub(lambda it: chr(int(it[1], 8)), line.split()[4]) for line in file)
        return sorted({it for it in places if it.startswith(f"{folder.rstrip('/')}/")})
    return ()


def end_with_parent() -> None:
    """Have this process killed when the one that forked it ends."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def changed_files(upper: str, folder: str) -> Sequence[tuple[str, bool]]:
    """The files that were written below `folder`, and with True those removed, sorted."""
    found: list[tuple[str, bool]] = []
    for place, folders, files in os.walk(upper):
        for name in (*files, *folders):
            path = os.path.join(place, name)
            state = os.lstat(path)
            removed = (state.st_mode & 0o170000) == 0o020000 and state.st_rdev == 0
            if removed or name in files:
                found.append((os.path.join(folder, os.path.relpath(path, upper)), removed))
    return sorted(found)
