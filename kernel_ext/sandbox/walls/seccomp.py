"""A filter of system calls for a process: refused ones fail, pretended ones do nothing. Linux.

Knows no kernel and no policy. https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable, Mapping, Sequence

_NUMBERS = {
    # From the tables of Linux 6.18. (x86_64, aarch64); None where there is no such call.
    "socket": (41, 198),
    "connect": (42, 203),
    "accept": (43, 202),
    "bind": (49, 200),
    "listen": (50, 201),
    "ptrace": (101, 117),
    "personality": (135, 92),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "mount": (165, 40),
    "umount2": (166, 39),
    "swapon": (167, 224),
    "reboot": (169, 142),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "quotactl": (179, 60),
    "clock_settime": (227, 112),
    "kexec_load": (246, 104),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "accept4": (288, 242),
    "perf_event_open": (298, 241),
    "open_by_handle_at": (304, 265),
    "setns": (308, 268),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "finit_module": (313, 273),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "mount_setattr": (442, 442),
    # Landlock knows no right for these.
    "chmod": (90, None),
    "fchmod": (91, 52),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "utime": (132, None),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "utimes": (235, None),
    "fchownat": (260, 54),
    "futimesat": (261, None),
    "fchmodat": (268, 53),
    "utimensat": (280, 88),
    "fchmodat2": (452, 452),
    # So that a signal to the group reaches every descendant.
    "setpgid": (109, 154),
    "setsid": (112, 157),
}
_FIRST_PRETENDED = list(_NUMBERS).index("chmod")
REFUSED_CALLS = tuple(_NUMBERS)[:_FIRST_PRETENDED]
"""Sockets (a pair stays possible, as event loops wake themselves by one), other processes' memory,
mounts, namespaces, and what only an administrator does."""
PRETENDED_CALLS = tuple(_NUMBERS)[_FIRST_PRETENDED:]
"""Calls on which libraries rely, for a process without a view of its own of the disk."""

OF_SOCKETS = ("socket", "connect", "accept", "bind", "listen", "accept4")
"""Refused, too, but where a copy is heard."""
SHARED_CALLS = ("prlimit64", "shmget", "shmat", "msgget", "semget", "mq_open")
"""Calls that reach other processes of the user, where a copy has no namespaces."""
_OTHERS = {
    **{"prlimit64": (302, 261), "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186)},
    **{"semget": (64, 190), "mq_open": (240, 180)},
}
_SOCKETPAIR = (53, 199)
_AND, _TYPE_ARGUMENT, _STREAM, _PACKETS = 0x54, 24, 1, 5

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_LOAD, _IS, _FROM, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _FAIL, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_SET_SECCOMP, _FILTER, _NO_NEW_PRIVS = 22, 2, 38
_NOTIFY, _WITH_FILTER, _LISTENER = 0x7FC00000, 1, 8
_INTERNET, _UNIX = (2, 10), 1
"""Families of addresses: those of a network, and of sockets of this machine."""
_FIRST_ARGUMENT = 16
_OF_PATHS = {
    **{"open": (2, None), "openat": (257, 56), "openat2": (437, 437), "creat": (85, None)},
    **{"truncate": (76, 45), "mkdir": (83, None), "mkdirat": (258, 34), "mknod": (133, None)},
    **{"mknodat": (259, 33), "unlink": (87, None), "unlinkat": (263, 35), "rmdir": (84, None)},
    **{"rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276), "link": (86, None)},
    **{"linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36)},
}
_SECCOMP = (317, 277)
_X32 = 0x40000000
"""Numbers from here on are calls of the x32 kind, which would pass by."""


def is_known() -> bool:
    """Whether there are numbers for this machine."""
    return platform.machine() in _ARCHITECTURES


def _heard() -> Mapping[int, str]:
    column = _ARCHITECTURES.get(platform.machine(), (0, 0))[0]
    calls = {**_OF_PATHS, **{name: _NUMBERS[name] for name in ("socket", "connect", "bind")}}
    return {number: name for name, row in calls.items() if (number := row[column]) is not None}


HEARD = _heard()
"""The names of the calls that `listen` hears of, by their numbers on this machine."""


def install(
    refused: Iterable[str] = REFUSED_CALLS, pretended: Iterable[str] = PRETENDED_CALLS
) -> None:
    """Put the filter before this thread and its children, for good. Raises OSError."""
    column, architecture = _ARCHITECTURES[platform.machine()]
    steps = [(_LOAD, 0, 0, 4), (_IS, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    if column == 0:
        steps += [(_FROM, 0, 1, _X32), (_RETURN, 0, 0, _FAIL | errno.EPERM)]
    for names, answer in ((refused, _FAIL | errno.EPERM), (pretended, _FAIL)):
        for name in names:
            if (number := (_NUMBERS | _OTHERS)[name][column]) is not None:
                steps += [(_IS, 0, 1, number), (_RETURN, 0, 0, answer)]
    # A pair of datagram sockets could send to any other address.
    steps += [
        (_IS, 0, 5, _SOCKETPAIR[column]),
        (_LOAD, 0, 0, _TYPE_ARGUMENT),
        (_AND, 0, 0, 0xF),
        (_IS, 2, 0, _STREAM),
        (_IS, 1, 0, _PACKETS),
        (_RETURN, 0, 0, _FAIL | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    held, program = _program(steps)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_SET_SECCOMP, _FILTER, program, 0, 0):
        raise _failure()
    del held


def listen() -> int:
    """Have calls that open or change files, and those of sockets, wait for an answer.

    For this thread and its children, for good. A Unix socket that needs a connection is made at
    once, and sockets that are neither of the internet nor of Unix are refused. `install` must leave
    `OF_SOCKETS` out, as a refusal goes before a question. Returns the descriptor to read the
    questions from. Raises OSError.
    """
    column = _ARCHITECTURES[platform.machine()][0]
    steps = [(_LOAD, 0, 0, 0)]
    for number, name in HEARD.items():
        if name != "socket":
            steps += [(_IS, 0, 1, number), (_RETURN, 0, 0, _NOTIFY)]
    ipv4, ipv6 = _INTERNET
    steps += [
        (_IS, 0, 10, _NUMBERS["socket"][column] or 0),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IS, 6, 0, ipv4),
        (_IS, 5, 0, ipv6),
        (_IS, 0, 5, _UNIX),
        (_LOAD, 0, 0, _TYPE_ARGUMENT),
        (_AND, 0, 0, 0xF),
        (_IS, 3, 0, _STREAM),
        (_IS, 2, 0, _PACKETS),
        (_RETURN, 0, 0, _NOTIFY),
        (_RETURN, 0, 0, _FAIL | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    held, program = _program(steps)
    libc = ctypes.CDLL(None, use_errno=True)
    listener = libc.syscall(_SECCOMP[column], _WITH_FILTER, _LISTENER, program)
    if listener < 0:
        raise _failure()
    del held
    return listener


def _program(steps: Sequence[tuple[int, int, int, int]]) -> tuple[object, bytes]:
    """The filter in memory, and what points to it."""
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    held = ctypes.create_string_buffer(code, len(code))
    return held, struct.pack("HxxxxxxP", len(steps), ctypes.addressof(held))


def _failure() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
