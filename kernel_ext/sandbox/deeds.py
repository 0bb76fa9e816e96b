"""From an audit event of Python to the deed behind it. Knows no walls, and judges nothing.

https://docs.python.org/3/library/audit_events.html lists the events. Code in C that opens files
itself raises none.
"""

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ...agent.protocol.trials import Deed, DeedKind

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
Arguments = tuple[Any, ...]
Read = Callable[[Arguments], "Deed | None"]


def deed_of(event: str, arguments: Arguments) -> Deed | None:
    """The deed of an audit event, or None if it has no consequence. Never raises."""
    read = _READERS.get(event)
    if read is None:
        if not event.startswith("ctypes."):
            return None
        return Deed("native", event, event) if event in _NATIVE else None
    try:
        return read(arguments)
    except Exception:  # arguments of another version, or of a class of the user's
        return Deed("kernel", event, event)


def real_path(path: Any) -> str:
    """The absolute path without links. The last part need not be there."""
    if isinstance(path, int):
        try:
            return os.readlink(f"/proc/self/fd/{path}")
        except OSError:
            return f"descriptor {path}"
    return os.path.realpath(os.fsdecode(path))


def _opened(arguments: Arguments) -> Deed | None:
    path, mode, flags = arguments
    if isinstance(path, int):
        return None  # it was opened before
    written = isinstance(flags, int) and flags & _WRITING
    if isinstance(mode, str):
        written = written or any(letter in mode for letter in "wax+")
    target = real_path(path)
    if target.startswith(("/dev/", "/proc/self/")) and not target.startswith("/dev/shm/"):
        return None if target in _DEVICES or not written else Deed("write", target, "open")
    if written and _is_shared(target):
        return Deed("write", f"{target} (which has another name, too)", "open")
    return Deed("write" if written else "read", target, "open")


_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/random", "/dev/urandom")


def _is_shared(path: str) -> bool:
    """Whether a file has a second name, which may lie anywhere (a hard link)."""
    try:
        state = os.lstat(path)
    except OSError:
        return False
    return (state.st_mode & 0o170000) == 0o100000 and state.st_nlink > 1


def _at(kind: DeedKind, call: str, *places: int) -> Read:
    """A deed on the path at the first of these places that the walls may not hold."""

    def read(arguments: Arguments) -> Deed:
        return Deed(kind, real_path(arguments[places[0]]), call)

    return read


def _moved(arguments: Arguments) -> Deed:
    """A rename writes at its end and removes at its beginning: the one further out counts."""
    return Deed("remove", f"{real_path(arguments[0])}", "os.rename")


def _linked(arguments: Arguments) -> Deed:
    return Deed("write", real_path(arguments[1]), "os.link")


def _named(kind: DeedKind, call: str, *places: int) -> Read:
    def read(arguments: Arguments) -> Deed:
        return Deed(kind, " ".join(_word(arguments[place]) for place in places), call)

    return read


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_word, cast("Sequence[object]", value)))
    if isinstance(value, bytes):
        return os.fsdecode(value)
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else "?"


def _address(call: str, place: int) -> Read:
    def read(arguments: Arguments) -> Deed | None:
        address = arguments[place]
        if isinstance(address, tuple):
            host, port = cast("tuple[object, ...]", address)[:2]
            return Deed("network", f"{host}:{port}", call)
        return Deed("network", _word(address) or "a socket", call)

    return read


def _socket(arguments: Arguments) -> Deed | None:
    family = int(arguments[1]) if arguments[1] is not None else -1
    return None if family == _UNIX or family == -1 else Deed("network", "a socket", "socket.socket")


_UNIX = 1


def _sqlite(arguments: Arguments) -> Deed | None:
    name = arguments[0]
    text = os.fsdecode(name)
    if text in (":memory:", ""):
        return None
    path = text.removeprefix("file:").partition("?")[0]
    return Deed("write", real_path(path), "sqlite3.connect")


def _popen(arguments: Arguments) -> Deed:
    program, words = arguments[0], arguments[1]
    return Deed("command", _word(words) or _word(program), "subprocess.Popen")


_READERS: Mapping[str, Read] = {
    "open": _opened,
    "socket.__new__": _socket,
    "os.remove": _at("remove", "os.remove", 0),
    "os.rmdir": _at("remove", "os.rmdir", 0),
    "os.rename": _moved,
    "os.mkdir": _at("write", "os.mkdir", 0),
    "os.truncate": _at("write", "os.truncate", 0),
    "os.chmod": _at("write", "os.chmod", 0),
    "os.chown": _at("write", "os.chown", 0),
    "os.chflags": _at("write", "os.chflags", 0),
    "os.utime": _at("write", "os.utime", 0),
    "os.setxattr": _at("write", "os.setxattr", 0),
    "os.removexattr": _at("write", "os.removexattr", 0),
    "os.link": _linked,
    "os.symlink": _linked,
    "shutil.rmtree": _at("remove", "shutil.rmtree", 0),
    "shutil.move": _at("remove", "shutil.move", 0),
    "sqlite3.connect": _sqlite,
    "socket.connect": _address("socket.connect", 1),
    "socket.bind": _address("socket.bind", 1),
    "socket.sendto": _address("socket.sendto", 1),
    "socket.sendmsg": _address("socket.sendmsg", 1),
    "socket.getaddrinfo": _named("network", "socket.getaddrinfo", 0),
    "socket.gethostbyname": _named("network", "socket.gethostbyname", 0),
    "socket.gethostbyaddr": _named("network", "socket.gethostbyaddr", 0),
    "subprocess.Popen": _popen,
    "os.system": _named("command", "os.system", 0),
    "os.exec": _named("command", "os.exec", 1),
    "os.posix_spawn": _named("command", "os.posix_spawn", 1),
    "os.spawn": _named("command", "os.spawn", 2),
    "pty.spawn": _named("command", "pty.spawn", 0),
    "os.startfile": _named("command", "os.startfile", 0),
    "os.fork": lambda _arguments: Deed("process", "a copy of the kernel", "os.fork"),
    "os.forkpty": lambda _arguments: Deed("process", "a copy of the kernel", "os.forkpty"),
    "os.kill": _named("process", "os.kill", 0, 1),
    "os.killpg": _named("process", "os.killpg", 0, 1),
    "os.putenv": lambda _arguments: None,
    "webbrowser.open": _named("network", "webbrowser.open", 0),
    "ftplib.connect": _named("network", "ftplib.connect", 1),
    "smtplib.connect": _named("network", "smtplib.connect", 1),
}
_NATIVE = frozenset(
    (
        *("ctypes.dlopen", "ctypes.dlsym", "ctypes.call_function", "ctypes.string_at"),
        *("ctypes.cdata/buffer", "ctypes.PyObj_FromPtr", "ctypes.memmove", "ctypes.memset"),
    )
)
_THIN = ("subprocess.py", "os.py", "shutil.py", "signal.py", "ctypes/", "asyncio/", "tempfile.py")
"""Files of Python that only pass on a call: the file that called them counts."""
_POOLS = ("multiprocessing/", "concurrent/", "joblib/", "loky/", "threadpoolctl.py", "platform.py")
"""Files that start processes for computing, and ask the machine how it is made."""


def is_of_library(deed: Deed) -> bool:
    """Whether a library does this for its own sake: a pool of processes, code that it loads.

    The file of the nearest caller decides, which code can forge. So it spares no trial.
    """
    if deed.kind not in ("command", "process", "native"):
        return False
    file = _caller()
    if deed.kind == "native":
        return file.startswith(_LIBRARIES)
    return file.startswith(_LIBRARIES) and any(f"/{it}" in file for it in _POOLS)


def _caller() -> str:
    """The file of the code that called, behind files that only pass on and files of ours."""
    frame = inspect.currentframe()
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_OURS) and not _is_thin(file):
            return file
        frame = frame.f_back
    return ""


def _is_thin(file: str) -> bool:
    if not file.startswith(_STANDARD) or "site-packages" in file:
        return file.startswith("<frozen")
    return any(f"/{it}" in file for it in _THIN)


_OURS = os.path.dirname(__file__)
_STANDARD = os.path.dirname(os.__file__)
_LIBRARIES = tuple({sys.prefix, sys.base_prefix, _STANDARD})
