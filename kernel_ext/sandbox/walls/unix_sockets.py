"""Unix sockets of a copy, bound and connected for it where that leads below its own folder. Linux.

An address is in the copy's memory, which may change after it was read. So no such call is let
through: it is made here, on the copy's own socket, and a connection only to what is held open.
Knows no filter. https://man7.org/linux/man-pages/man7/unix.7.html
"""

import ctypes
import os
import struct
from collections.abc import Callable

from ....agent.frozen import frozen
from ....agent.permissions.walls import is_within

_UNIX, _GET_DESCRIPTOR = 1, 438
"""The family of addresses, and the number of `pidfd_getfd`, the same everywhere. Linux 5.6."""
_FAMILY = struct.Struct("=H")
_MOST_BYTES = 110


@frozen
class UnixAddress:
    """An address. `path`: absolute, as the copy wrote it, and empty for an abstract one. `target`:
    the same without links, or `@name`."""

    path: str
    target: str


def read_address(
    memory: int, start: int, size: int, absolute: Callable[[str], str]
) -> UnixAddress | None:
    """The address in the memory of a process. None if it is none of a Unix socket. Raises OSError.

    `memory`: a descriptor. `size`: bytes. `absolute`: makes a path of that process absolute.
    """
    raw = os.pread(memory, min(size & 0xFFFFFFFF, _MOST_BYTES), start)
    if len(raw) < _FAMILY.size or _FAMILY.unpack_from(raw)[0] != _UNIX:
        return None
    name = raw[_FAMILY.size :]
    if name[:1] in (b"", b"\0"):
        return UnixAddress("", f"@{os.fsdecode(name[1:])}")
    path = absolute(os.fsdecode(name.partition(b"\0")[0]))
    return UnixAddress(path, os.path.realpath(path))


def act_for(thread: int, call: str, number: int, address: UnixAddress, folder: str) -> int | None:
    """Make the call `bind` or `connect` on a socket of a process, if it leads below `folder`.

    `number`: the process's own of the socket. Returns 0, or minus the number of an error. None: it
    leads elsewhere. A name that is made can only be where the copy itself may write.
    """
    if not address.path:
        return None
    binds = call == "bind"
    try:
        held = os.open(os.path.dirname(address.path) if binds else address.path, os.O_PATH)
        try:
            here = f"/proc/self/fd/{held}"
            if not is_within(os.readlink(here), (folder,)):
                return None
            _act(call, thread, number, address.path if binds else here)
        finally:
            os.close(held)
    except OSError as error:
        return -(error.errno or 1)
    return 0


def _act(call: str, thread: int, number: int, path: str) -> None:
    """Make the call. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/proc/{thread}/status") as file:
        group = next(int(it.split()[1]) for it in file if it.startswith("Tgid:"))
    process = os.pidfd_open(group)
    ours = -1
    try:
        ours = _checked(libc.syscall(_GET_DESCRIPTOR, process, ctypes.c_int(number), 0))
        address = _FAMILY.pack(_UNIX) + os.fsencode(path) + b"\0"
        _checked(getattr(libc, call)(ours, address, len(address)))
    finally:
        os.close(process)
        if ours >= 0:
            os.close(ours)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
