"""Hears of each file that a copy opens, and of each socket it makes, also where C does it. Linux.

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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from ....agent.permissions.cover import is_covered
from ....agent.permissions.walls import is_inside, is_within
from ....agent.protocol.trials import Cover, Deed
from . import seccomp

Tell = Callable[[Deed], None]
_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101
_NOTICE, _WORD = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
_GO_ON = 1
_HERE = -100
_MOST_CHARS = 4096
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_BYTECODE = "__pycache__"


class Hearing:
    """Both ends of it. Make it before the copy's process is forked from the one that hears.

    `cover`: what it covers is not told. `own`: folders of the copy itself. `tell`: is called for
    each other deed once, before it happens.
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
        refused = 0
        with suppress(OSError, ValueError):
            call = seccomp.HEARD[number]
            if call == "socket":
                refused = -errno.EPERM
                self._note(Deed("network", "", "socket.socket"))
            elif (deed := _opened(thread, call, given)) is not None:
                free = is_inside(replace(deed, kind="read"), self._cover.walls)
                refused = 0 if free else -errno.EACCES
                self._note(deed)
        fcntl.ioctl(listener, _ANSWER, _WORD.pack(mark, 0, refused, 0 if refused else _GO_ON))

    def _note(self, deed: Deed) -> None:
        if deed not in self._told and not self._is_free(deed):
            self._told.add(deed)
            self._tell(deed)

    def _is_free(self, deed: Deed) -> bool:
        """Whether it is nobody's business: within the walls, not there, or left to other ears."""
        if deed.kind == "network":
            return False
        if is_within(deed.target, self._own) or is_covered(deed, self._cover):
            return True
        if deed.kind == "write":  # the import system tries it, and Python tells of it
            return _BYTECODE in deed.target.split(os.sep)[-2:]
        hidden = is_within(deed.target, self._cover.walls.secret)
        there = os.path.exists(deed.target) and not os.path.isdir(deed.target)
        return not (hidden or there)


def _opened(thread: int, call: str, given: list[int]) -> Deed | None:
    """The deed of a call. None if it opens nothing, or a folder. Raises OSError."""
    folder, path, flags = given[:3] if call != "open" else (_HERE, *given[:2])
    with open(f"/proc/{thread}/mem", "rb", 0) as memory:
        text = _text(memory.fileno(), path)
        if call == "openat2":
            flags = int.from_bytes(os.pread(memory.fileno(), 8, flags), "little")
    if flags & os.O_DIRECTORY or not text:
        return None
    number = struct.unpack("=i", struct.pack("=Q", folder)[:4])[0] if folder >= 0 else folder
    start = f"/proc/{thread}/{'cwd' if number == _HERE else f'fd/{number}'}"
    name = os.fsdecode(text).replace("/proc/self/", f"/proc/{thread}/", 1)
    target = os.path.realpath(os.path.join(os.readlink(start), name))
    return Deed("write" if flags & _WRITES else "read", target, "open")


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
