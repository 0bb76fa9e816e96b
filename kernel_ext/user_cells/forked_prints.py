"""Carries the prints of forked children to the process that forked them. Knows no step and no cell.

A child has a copy of this process's memory, and texts that it gathered there would be lost.
"""

import os
import select
import struct
import time
from collections.abc import Callable
from contextlib import suppress

from ...agent.protocol.cells import StreamName

_HEAD = struct.Struct("<BH")
_NAMES: tuple[StreamName, ...] = ("stdout", "stderr")
_ROOM = 1 << 20
"""Bytes that the pipe holds, where the system allows so many."""


class ForkedPrints:
    """A pipe from the children that are forked from now on. `take` gets their texts.

    Where the system has no fork, there are no children and no pipe. Nor is there one where no more
    files can be opened.
    """

    def __init__(self, take: Callable[[StreamName, str], object]) -> None:
        self._take = take
        self._parent = os.getpid()
        self._ends: tuple[int, ...] = ()
        if hasattr(os, "fork"):
            with suppress(OSError):
                self._ends = os.pipe()
        self._inode = 0
        if self._ends:
            import fcntl

            for end in self._ends:
                os.set_blocking(end, False)
            if hasattr(fcntl, "F_SETPIPE_SZ"):
                with suppress(OSError):
                    fcntl.fcntl(self._ends[1], fcntl.F_SETPIPE_SZ, _ROOM)
            self._inode = os.fstat(self._ends[1]).st_ino

    def in_child(self) -> bool:
        """Whether this process is a forked child."""
        return os.getpid() != self._parent

    def send(self, name: StreamName, text: str, seconds: float) -> bool:
        """Print in a child. False if nobody hears it, or if the pipe stays full for so long."""
        if not self._ends:
            return False
        until = time.monotonic() + seconds
        piece = (select.PIPE_BUF - _HEAD.size) // 4  # written as one, whoever else writes
        try:
            if os.fstat(self._ends[1]).st_ino != self._inode:  # the child has closed it
                return False
            for start in range(0, len(text), piece):
                body = text[start : start + piece].encode(errors="replace")
                while not self._wrote(_HEAD.pack(_NAMES.index(name), len(body)) + body):
                    if time.monotonic() > until:
                        return False
                    time.sleep(0.005)
        except OSError:
            return False
        return True

    def hear(self) -> None:
        """Take what has come, in the parent."""
        pieces = list[bytes]()
        with suppress(BlockingIOError):
            while self._ends and (got := os.read(self._ends[0], _ROOM)):
                pieces.append(got)
        heard, at = b"".join(pieces), 0
        while at < len(heard):  # frames are written whole
            name: int
            size: int
            name, size = _HEAD.unpack_from(heard, at)
            at += _HEAD.size + size
            self._take(_NAMES[name], heard[at - size : at].decode())

    def close(self) -> None:
        """Hear the last. Children that go on find that nobody hears them."""
        self.hear()
        for end in self._ends:
            os.close(end)
        self._ends = ()

    def _wrote(self, frame: bytes) -> bool:
        try:
            os.write(self._ends[1], frame)
        except BlockingIOError:
            return False
        return True
