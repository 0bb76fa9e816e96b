"""Hears of each file that a copy opens or changes, and of its sockets, also where C does it. Linux.

The system holds a call until it has an answer. The process that waits for the copy gives it. So a
refusal that code hides is heard, too. Files that no wall hides, such as the memory of a process,
are refused here. Knows no shell. Code on another thread may change a path after it was read here:
that forges what is heard, and the walls hold all the same.
https://docs.kernel.org/userspace-api/seccomp_filter.html#userspace-notification
"""

import errno
import fcntl
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Literal

from ....agent.permissions.cover import is_covered
from ....agent.permissions.walls import is_inside, is_within
from ....agent.protocol.trials import Cover, Deed
from . import seccomp
from .unix_sockets import act_for, read_address

Tell = Callable[[Deed], None]
_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101
_NOTICE, _WORD = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
_GO_ON = 1
_HERE = -100
_MOST_CHARS = 4096
_IN_ROOT = 0x10
_Place = tuple[Literal["open", "write", "remove"], int | None, int]
_PLACES: Mapping[str, tuple[_Place, ...]] = {
    "open": (("open", None, 0),),
    "openat": (("open", 0, 1),),
    "openat2": (("open", 0, 1),),
    "creat": (("write", None, 0),),
    "truncate": (("write", None, 0),),
    "mkdir": (("write", None, 0),),
    "mkdirat": (("write", 0, 1),),
    "mknod": (("write", None, 0),),
    "mknodat": (("write", 0, 1),),
    "unlink": (("remove", None, 0),),
    "unlinkat": (("remove", 0, 1),),
    "rmdir": (("remove", None, 0),),
    "rename": (("remove", None, 0), ("write", None, 1)),
    "renameat": (("remove", 0, 1), ("write", 2, 3)),
    "renameat2": (("remove", 0, 1), ("write", 2, 3)),
    "link": (("write", None, 0), ("write", None, 1)),
    "linkat": (("write", 0, 1), ("write", 2, 3)),
    "symlink": (("write", None, 1),),
    "symlinkat": (("write", 1, 2),),
}
"""The paths of a call: what is done there, the place of a folder's number, and that of the path."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_BYTECODE = "__pycache__"
_LOOKUPS = ("/run/nscd", "/var/run/nscd", "/var/lib/sss/pipes", "/run/systemd/userdb")
"""Where the C library asks who a user is."""


class Hearing:
    """Both ends of it. Make it before the copy's process is forked from the one that hears.

    `cover`: what it covers is not told. `own`: folders of the copy itself. In the first one it may
    have sockets. `tell`: is called for each other deed once, before it happens.
    """

    def __init__(self, cover: Cover, own: tuple[str, ...], tell: Tell) -> None:
        self._cover, self._own, self._tell = cover, own, tell
        self._ours, self._theirs = socket.socketpair()
        self._told = set[Deed]()

    @property
    def line(self) -> int:
        """The copy's descriptor, until `begin`."""
        return self._theirs.fileno()

    def begin(self) -> None:
        """In the copy: from now on its calls are heard. Raises OSError."""
        listener = seccomp.listen()
        socket.send_fds(self._theirs, [b"."], [listener])
        os.close(listener)
        self._theirs.close()

    def hear(self, process: int, kept: int) -> None:
        """In the process that waits: hear the copy until it has ended. `kept`: an open descriptor.

        Without a word from here, the copy's calls would fail. So no error ends it.
        """
        low = 3
        for it in sorted((kept, self._ours.fileno())):
            os.closerange(low, it)
            low = it + 1
        os.closerange(low, 1 << 16)
        with suppress(OSError):
            _, found, *_ = socket.recv_fds(self._ours, 1, 1)
            if found:
                self._answer_all(found[0], os.pidfd_open(process))

    def _answer_all(self, listener: int, process: int) -> None:
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(process, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if not ready.get(listener, 0) & select.POLLIN:
                return
            with suppress(OSError):  # whoever made the call may have been killed meanwhile
                self._answer(listener)

    def _answer(self, listener: int) -> None:
        notice = bytearray(_NOTICE.size)
        fcntl.ioctl(listener, _RECEIVE, notice)
        mark, thread, _, number, _, _, *given = _NOTICE.unpack(notice)
        result: int | None = -errno.EACCES
        try:
            call = seccomp.HEARD[number]
            hear = self._of_socket if call in seccomp.OF_SOCKETS else self._of_paths
            result = hear(thread, call, given)
        except Exception as error:  # no path, or one without an end: live it may lead anywhere
            if os.path.exists(f"/proc/{thread}"):  # else whoever made the call was killed meanwhile
                self._note(Deed("kernel", "", f"a path that cannot be followed: {error}"[:200]))
        flags = _GO_ON if result is None else 0
        fcntl.ioctl(listener, _ANSWER, _WORD.pack(mark, 0, result or 0, flags))

    def _of_paths(self, thread: int, call: str, given: list[int]) -> int | None:
        """Minus the number of an error, or None: the system makes the call."""
        result = None
        for deed in _deeds(thread, call, given):
            if not is_inside(replace(deed, kind="read"), self._cover.walls):
                result = -errno.EACCES
            self._note(deed)
        return result

    def _of_socket(self, thread: int, call: str, given: list[int]) -> int:
        """Minus the number of an error, or 0: the call was made. Of sockets that a copy has, only
        those of Unix take an address."""
        if call == "socket":
            self._note(Deed("network", "", "socket.socket"))
            return -errno.EPERM
        with open(f"/proc/{thread}/mem", "rb", 0) as memory:
            absolute = partial(_below, thread, _HERE)
            address = read_address(memory.fileno(), given[1], given[2], absolute)
        if address is None:
            return -errno.EINVAL
        target, done = address.target, act_for(thread, call, given[0], address, self._own[0])
        hidden = is_within(target, self._cover.walls.secret)  # what is there looks empty
        if (done is None or hidden) and not is_within(target, _LOOKUPS):
            self._note(Deed("network", target, f"socket.{call}"))
        return -errno.EACCES if done is None else done

    def _note(self, deed: Deed) -> None:
        if deed not in self._told and not self._is_free(deed):
            self._told.add(deed)
            self._tell(deed)

    def _is_free(self, deed: Deed) -> bool:
        """Whether it is nobody's business: within the walls, not there, or left to other ears."""
        if deed.kind in ("network", "kernel"):
            return False
        if is_within(deed.target, self._own) or is_covered(deed, self._cover):
            return True
        if deed.kind == "remove":
            return not os.path.lexists(deed.target)
        if deed.call == "os.mkdir" and os.path.isdir(deed.target):
            return True
        if deed.kind == "write":  # the import system tries it, and Python tells of it
            return _BYTECODE in deed.target.split(os.sep)[-2:]
        hidden = is_within(deed.target, self._cover.walls.secret)
        there = os.path.exists(deed.target) and not os.path.isdir(deed.target)
        return not (hidden or there)


def _deeds(thread: int, call: str, given: list[int]) -> Iterator[Deed]:
    """The deeds of a call. None if it opens a folder. Raises OSError and others for a bad path."""
    with open(f"/proc/{thread}/mem", "rb", 0) as memory:
        for kind, folder, path in _PLACES[call]:
            text = os.fsdecode(_text(memory.fileno(), given[path]))
            start = _HERE if folder is None else given[folder]
            if kind != "open":
                named = f"os.{call.removesuffix('2').removesuffix('at')}"
                yield Deed(kind, _entry(_below(thread, start, text)), named)
                continue
            flags, rooted = _flags(memory.fileno(), call, given)
            if flags & os.O_DIRECTORY and flags & os.O_TMPFILE != os.O_TMPFILE:
                return
            whole = _below(thread, start, text.lstrip("/") if rooted else text)
            yield Deed("write" if flags & _WRITES else "read", os.path.realpath(whole), "open")


def _flags(memory: int, call: str, given: list[int]) -> tuple[int, int]:
    """How a file is opened, and whether its path begins in a folder whatever it says."""
    match call:
        case "openat2":
            flags, _, resolve = struct.unpack("=QQQ", os.pread(memory, 24, given[2]))
            return flags, resolve & _IN_ROOT
        case "openat":
            return given[2], 0
        case _:
            return given[1], 0


def _below(thread: int, folder: int, text: str) -> str:
    """The path that a thread means. `folder`: the number of one that is open there, which counts
    for a relative path alone."""
    text = text.replace("/proc/self/", f"/proc/{thread}/", 1)
    if os.path.isabs(text):
        return text
    number = struct.unpack("=i", struct.pack("=Q", folder)[:4])[0] if folder >= 0 else folder
    start = f"/proc/{thread}/{'cwd' if number == _HERE else f'fd/{number}'}"
    return os.path.join(os.readlink(start), text)


def _entry(path: str) -> str:
    """The name itself, which may be a link, in its real folder."""
    path = os.path.normpath(path)
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _text(memory: int, start: int) -> bytes:
    """The text at an address, read in pieces that cross no page."""
    found = b""
    while len(found) < _MOST_CHARS:
        piece = os.pread(memory, 4096 - start % 4096, start)
        text, end, _ = piece.partition(b"\0")
        found += text
        if end or not piece:
            break
        start += len(piece)
    return found
