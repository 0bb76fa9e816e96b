"""Landlock: which files a process may read and write from now on. Linux, by raw system calls.

Knows no kernel and no policy. https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""Numbers of the calls, the same on x86_64 and aarch64."""
_NO_NEW_PRIVS = 38
_EXECUTE, _WRITE, _READ, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _DEVICE = 1 << 14, 1 << 15
_READING = _EXECUTE | _READ | _READ_FOLDER
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _DEVICE
_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: _TRUNCATE, 5: _DEVICE}
"""The rights that a version added. Version 1: all that bear on files and folders but `refer`."""
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def version() -> int:
    """The version of Landlock in this system. 0 if there is none."""
    if sys.platform != "linux":
        return 0
    call = ctypes.CDLL(None, use_errno=True).syscall
    return max(0, call(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))


def restrict(readable: Iterable[str], writable: Iterable[str]) -> None:
    """From now on this thread and its children read and write only there, and use no TCP.

    They send signals only among themselves, where the system knows that (version 6). A path that is
    not there is left out. This cannot be taken back. Raises OSError.
    """
    abi, libc = version(), ctypes.CDLL(None, use_errno=True)
    rights = sum(bits for since, bits in _RIGHTS.items() if abi >= since)
    network = _BIND_TCP | _CONNECT_TCP if abi >= 4 else 0
    scopes = _ABSTRACT_SOCKETS | _SIGNALS if abi >= 6 else 0
    wanted = struct.pack("QQQ", rights, network, scopes)[
        : 24 if abi >= 6 else 16 if abi >= 4 else 8
    ]
    rules = _checked(
        libc.syscall(_CREATE, wanted, ctypes.c_size_t(len(wanted)), ctypes.c_uint32(0))
    )
    for paths, allowed in (
        (readable, _READING),
        (writable, rights),
        (DEVICES, _WRITE | _READ | _TRUNCATE | _DEVICE),
    ):
        for path in paths:
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                _allow(libc, rules, path, allowed & rights)
    _checked(libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    _checked(libc.syscall(_RESTRICT, rules, ctypes.c_uint32(0)))
    os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        allowed = rights if os.path.isdir(path) else rights & _OF_FILES
        rule = struct.pack("=Qi", allowed, place)
        _checked(libc.syscall(_ADD, rules, ctypes.c_int(1), rule, ctypes.c_uint32(0)))
    finally:
        os.close(place)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
