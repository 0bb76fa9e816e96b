"""From an audit event of Python to the deed behind it. Knows no walls, and judges nothing.

https://docs.python.org/3/library/audit_events.html lists the events. Code in C that opens files
itself raises none.
"""

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import wraps
from types import FrameType
from typing import Any, cast

from ...agent.permissions.walls import sqlite_path
from ...agent.protocol.trials import Deed, DeedKind
from .callers import (
    as_number,
    command_of_shell,
    entry_path,
    from_folder,
    has_second_name,
    is_relative,
    open_folders,
    parent_folder,
    plain_text,
    real_path,
)

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SHARED = "another name of {}"
"""The target of a write to a file with two names. The other one may lie outside."""
MADE_ANEW = "a path that an object makes anew each time"
"""The target of a file that an object names, and could name otherwise to Python itself."""
Arguments = tuple[Any, ...]
Read = Callable[[Arguments], "Deed | None"]


SILENT_PROGRAM, SILENT_ADDRESS = "_posixsubprocess.fork_exec", "zmq.Socket.connect"
OWN_EVENTS = frozenset((SILENT_PROGRAM, SILENT_ADDRESS))
"""Our events of functions in C that have none. A function of ours raises them for its caller."""


def give_events() -> None:
    """Have functions of C that start programs or speak to others raise an event, too."""
    with suppress(ImportError):
        module: Any = importlib.import_module("_posixsubprocess")
        module.fork_exec = _telling(module.fork_exec, SILENT_PROGRAM, 0)
    socket: Any = getattr(sys.modules.get("zmq"), "Socket", None)
    if socket is not None:
        for name in ("connect", "bind"):
            setattr(socket, name, _telling(getattr(socket, name), SILENT_ADDRESS, 1))


def _telling(function: Callable[..., Any], event: str, first: int) -> Callable[..., Any]:
    """The function, with an event of its arguments from `first` on."""
    audit = sys.audit

    @wraps(function)
    def tell(*args: Any, **named: Any) -> Any:
        audit(event, *args[first:], *named.values())
        return function(*args, **named)

    return tell


def deeds_of(event: str, arguments: Arguments, frame: FrameType | None = None) -> tuple[Deed, ...]:
    """The deeds of an audit event, none if it has no consequence. Never raises.

    A move or a link has one at each end, and a relative path of `os.open` one for each folder from
    which it may start. `frame`: of the code that raised the event.
    """
    read = _READERS.get(event)
    if read is None:
        return (Deed("native", event, event),) if event in _NATIVE else ()
    try:
        deed = _forked(event, frame) if event in _FORKS else read(arguments)
        return () if deed is None else (deed, *_further(event, arguments, deed))
    except Exception:  # arguments of another version, or of a class of the user's
        return (Deed("kernel", event, event),)


def _further(event: str, arguments: Arguments, deed: Deed) -> Iterable[Deed]:
    if event in ("os.rename", "shutil.move"):
        yield Deed("write", entry_path(arguments[1], _at_place(arguments, 3)), event)
    elif event == "os.link":
        yield Deed("write", entry_path(arguments[0], _at_place(arguments, 2)), event)
    elif event == "os.symlink":
        folder = parent_folder(entry_path(arguments[1], _at_place(arguments, 2)))
        yield Deed("write", from_folder(folder, plain_text(arguments[0])), event)
    elif event == "open" and arguments[1] is None and deed.kind == "write":
        path = plain_text(arguments[0])
        if is_relative(path):  # the event has no `dir_fd`
            for folder in open_folders():
                yield Deed("write", from_folder(folder, path), event)
    elif event == "sqlite3.connect" and deed.target != MADE_ANEW:
        yield Deed("write", real_path(arguments[0]), event)  # "file:…" may be a name, too


def _at_place(arguments: Arguments, place: int) -> int:
    """The descriptor of a folder among the arguments. -1: there is none."""
    number = as_number(arguments[place]) if place < len(arguments) else None
    return -1 if number is None else number


def _opened(arguments: Arguments) -> Deed | None:
    path, mode, flags = arguments
    if as_number(path) is not None:
        return None  # it was opened before
    written = (as_number(flags) or 0) & _WRITING
    if mode is not None:
        written = written or any(letter in plain_text(mode) for letter in "wax+")
    try:
        target = real_path(path)
    except TypeError:
        return Deed("write", MADE_ANEW, "open")
    if target.startswith("/dev/") and not target.startswith("/dev/shm/"):
        return None if target in _DEVICES or not written else Deed("write", target, "open")
    if written and has_second_name(target):
        return Deed("write", SHARED.format(target), "open")
    return Deed("write" if written else "read", target, "open")


def _listed(arguments: Arguments) -> Deed | None:
    path: Any = arguments[0] if arguments and arguments[0] is not None else "."
    target = real_path(path)
    return None if target.startswith(_OF_SYSTEM) else Deed("read", target, "os.listdir")


_OF_SYSTEM = ("/dev/", "/proc/", "/sys/")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def _at(kind: DeedKind, call: str, folder: int) -> Read:
    """A deed on the first argument. `folder`: the place of the folder that it is relative to."""
    locate = entry_path if kind == "remove" else real_path

    def read(arguments: Arguments) -> Deed:
        target = locate(arguments[0], _at_place(arguments, folder))
        if kind == "write" and has_second_name(target):
            target = SHARED.format(target)
        return Deed(kind, target, call)

    return read


def _foretold(read: Read) -> Read:
    """None for an object that names a path: further events tell of what becomes of it."""

    def foretell(arguments: Arguments) -> Deed | None:
        try:
            return read(arguments)
        except TypeError:
            return None

    return foretell


def _moved(arguments: Arguments) -> Deed:
    """A rename removes at its beginning. Its end is a further deed."""
    return Deed("remove", entry_path(arguments[0], _at_place(arguments, 2)), "os.rename")


def _linked(call: str, folder: int) -> Read:
    def read(arguments: Arguments) -> Deed:
        return Deed("write", entry_path(arguments[1], _at_place(arguments, folder)), call)

    return read


def _named(kind: DeedKind, call: str, *places: int) -> Read:
    def read(arguments: Arguments) -> Deed:
        return Deed(kind, " ".join(_word(arguments[place]) for place in places), call)

    return read


def _word(value: Any) -> str:
    parts = _parts(value)
    if parts is not None:
        return " ".join(map(_word, parts))
    number = as_number(value)
    if number is not None:
        return str(number)
    try:
        return plain_text(value)
    except TypeError:
        return "?"


def _parts(value: Any) -> Sequence[object] | None:
    """The parts of a list or tuple, whatever its own methods say. None: it is neither."""
    kind = cast("type[Any]", type(value))
    for plain in _SEQUENCES:
        if issubclass(kind, plain):
            return plain.__getitem__(value, slice(None))
    return None


_SEQUENCES: Sequence[Any] = (list, tuple)


def _address(call: str, place: int) -> Read:
    def read(arguments: Arguments) -> Deed | None:
        address = arguments[place]
        parts = _parts(address)
        if parts is not None:
            host, port = map(_word, parts[:2])
            return Deed("network", f"{host}:{port}", call)
        return None if address is None else Deed("network", _unix_address(_word(address)), call)

    return read


def _unix_address(text: str) -> str:
    """The path without links, or `@name` for one of no path."""
    return f"@{text[1:]}" if text[:1] in ("", "\0") else real_path(text)


def _socket(arguments: Arguments) -> Deed | None:
    family = as_number(arguments[1])
    return None if family in (_UNIX, -1, None) else Deed("network", "a socket", "socket.socket")


_UNIX = 1


def _sqlite(arguments: Arguments) -> Deed | None:
    try:
        text = plain_text(arguments[0])
    except TypeError:
        return Deed("write", MADE_ANEW, "sqlite3.connect")
    if text in (":memory:", ""):
        return None
    return Deed("write", real_path(sqlite_path(text)), "sqlite3.connect")


def _forked(event: str, frame: FrameType | None) -> Deed:
    if command := command_of_shell(frame):
        return Deed("command", command, "get_ipython().system")
    return Deed("process", "a copy of the kernel", event)


def _program(call: str, path: int, words: int) -> Read:
    """A program with its words. The first of them need not be its name."""

    def read(arguments: Arguments) -> Deed:
        file, line = _word(arguments[path]), _word(arguments[words])
        named = line.partition(" ")[0].rpartition("/")[2] == file.rpartition("/")[2]
        return Deed("command", line if named or not file else f"{file}: {line}", call)

    return read


def _endpoint(arguments: Arguments) -> Deed | None:
    """The address of a socket of ZeroMQ. One within the process leads nowhere."""
    address = _word(arguments[0])
    if address.startswith("inproc://"):
        return None
    return Deed("network", address.removeprefix("tcp://"), SILENT_ADDRESS)


_READERS: Mapping[str, Read] = {
    "open": _opened,
    "socket.__new__": _socket,
    "os.listdir": _listed,
    "os.scandir": _listed,
    "os.remove": _at("remove", "os.remove", 1),
    "os.rmdir": _at("remove", "os.rmdir", 1),
    "os.rename": _moved,
    "os.mkdir": _at("write", "os.mkdir", 2),
    "os.truncate": _at("write", "os.truncate", 9),
    "os.chmod": _at("write", "os.chmod", 2),
    "os.chown": _at("write", "os.chown", 3),
    "os.chflags": _at("write", "os.chflags", 9),
    "os.utime": _at("write", "os.utime", 3),
    "os.setxattr": _at("write", "os.setxattr", 9),
    "os.removexattr": _at("write", "os.removexattr", 9),
    "os.link": _linked("os.link", 3),
    "os.symlink": _linked("os.symlink", 2),
    "shutil.rmtree": _foretold(_at("remove", "shutil.rmtree", 1)),
    "shutil.move": _foretold(_at("remove", "shutil.move", 9)),
    "sqlite3.connect": _sqlite,
    "socket.connect": _address("socket.connect", 1),
    "socket.bind": _address("socket.bind", 1),
    "socket.sendto": _address("socket.sendto", 1),
    "socket.sendmsg": _address("socket.sendmsg", 1),
    "socket.getaddrinfo": _named("network", "socket.getaddrinfo", 0),
    "socket.gethostbyname": _named("network", "socket.gethostbyname", 0),
    "socket.gethostbyaddr": _named("network", "socket.gethostbyaddr", 0),
    "subprocess.Popen": _program("subprocess.Popen", 0, 1),
    "os.system": _named("command", "os.system", 0),
    "os.exec": _program("os.exec", 0, 1),
    "os.posix_spawn": _program("os.posix_spawn", 0, 1),
    "os.spawn": _program("os.spawn", 1, 2),
    "pty.spawn": _named("command", "pty.spawn", 0),
    "os.startfile": _named("command", "os.startfile", 0),
    "os.fork": lambda _arguments: None,
    "os.forkpty": lambda _arguments: None,
    "os.kill": _named("process", "os.kill", 0, 1),
    "os.killpg": _named("process", "os.killpg", 0, 1),
    "os.putenv": lambda _arguments: None,
    SILENT_PROGRAM: _program(SILENT_PROGRAM, 1, 0),
    SILENT_ADDRESS: _endpoint,
    "webbrowser.open": _named("network", "webbrowser.open", 0),
    "ftplib.connect": _named("network", "ftplib.connect", 1),
    "smtplib.connect": _named("network", "smtplib.connect", 1),
}
_FORKS = ("os.fork", "os.forkpty")
_NATIVE = frozenset(
    (
        *("ctypes.dlopen", "ctypes.dlsym", "ctypes.call_function", "ctypes.string_at"),
        *("ctypes.cdata/buffer", "ctypes.PyObj_FromPtr", "ctypes.memmove", "ctypes.memset"),
    )
)
EVENTS = frozenset(_READERS) | _NATIVE
"""The events that may be deeds."""
