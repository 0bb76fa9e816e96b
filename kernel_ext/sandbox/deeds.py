"""From an audit event of Python to the deed behind it. Knows no walls, and judges nothing.

https://docs.python.org/3/library/audit_events.html lists the events. Code in C that opens files
itself raises none.
"""

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from ...agent.protocol.trials import Deed, DeedKind

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SHARED = "another name of {}"
"""The target of a write to a file with two names. The other one may lie outside."""
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


def deeds_of(event: str, arguments: Arguments) -> tuple[Deed, ...]:
    """All deeds of an event: also at the other end of a move or a link, and in any folder that a
    relative path of `os.open` may start from. Never raises."""
    deed = deed_of(event, arguments)
    if deed is None:
        return ()
    try:
        return (deed, *_further(event, arguments, deed))
    except Exception:  # arguments of another version, or of a class of the user's
        return (Deed("kernel", event, event),)


def _further(event: str, arguments: Arguments, deed: Deed) -> Iterable[Deed]:
    if event in ("os.rename", "shutil.move"):
        yield Deed("write", entry_path(arguments[1], _at_place(arguments, 3)), event)
    elif event == "os.link":
        yield Deed("write", entry_path(arguments[0], _at_place(arguments, 2)), event)
    elif event == "os.symlink":
        folder = os.path.dirname(entry_path(arguments[1], _at_place(arguments, 2)))
        yield Deed(
            "write", os.path.realpath(os.path.join(folder, os.fsdecode(arguments[0]))), event
        )
    elif event == "open" and arguments[1] is None and deed.kind == "write":
        path = os.fsdecode(arguments[0])
        if not os.path.isabs(path):  # the event has no `dir_fd`
            for folder in _open_folders():
                yield Deed("write", os.path.realpath(os.path.join(folder, path)), event)


def _open_folders() -> Iterable[str]:
    """The folders that are open as a descriptor."""
    for number in os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd"):
        with suppress(OSError):
            if os.path.isdir(f"/dev/fd/{number}"):
                yield os.path.realpath(f"/dev/fd/{number}")


def _at_place(arguments: Arguments, place: int) -> int:
    """The descriptor of a folder among the arguments. -1: there is none."""
    value = arguments[place] if place < len(arguments) else -1
    return value if isinstance(value, int) else -1


def entry_path(path: Any, folder: int = -1) -> str:
    """The absolute path of a name in its folder, which may itself be a link."""
    text = os.fsdecode(path)
    if folder >= 0:
        text = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), text)
    text = os.path.abspath(text)
    return os.path.join(os.path.realpath(os.path.dirname(text)), os.path.basename(text))


def real_path(path: Any, folder: int = -1) -> str:
    """The absolute path without links. The last part need not be there."""
    if isinstance(path, int):
        try:
            return os.readlink(f"/proc/self/fd/{path}")
        except OSError:
            return f"descriptor {path}"
    text = os.fsdecode(path)
    if folder >= 0:
        text = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), text)
    return os.path.realpath(text)


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
        return Deed("write", SHARED.format(target), "open")
    return Deed("write" if written else "read", target, "open")


def _listed(arguments: Arguments) -> Deed | None:
    path: Any = arguments[0] if arguments and arguments[0] is not None else "."
    target = real_path(path)
    return None if target.startswith(_OF_SYSTEM) else Deed("read", target, "os.listdir")


_OF_SYSTEM = ("/dev/", "/proc/", "/sys/")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def _is_shared(path: str) -> bool:
    """Whether a file has a second name, which may lie anywhere (a hard link)."""
    try:
        state = os.lstat(path)
    except OSError:
        return False
    return (state.st_mode & 0o170000) == 0o100000 and state.st_nlink > 1


def _at(kind: DeedKind, call: str, folder: int) -> Read:
    """A deed on the first argument. `folder`: the place of the folder that it is relative to."""
    locate = entry_path if kind == "remove" else real_path

    def read(arguments: Arguments) -> Deed:
        target = locate(arguments[0], _at_place(arguments, folder))
        if kind == "write" and _is_shared(target):
            target = SHARED.format(target)
        return Deed(kind, target, call)

    return read


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


def _forked(call: str) -> Deed:
    """A fork. IPython starts the programs of `!command` by one, within its `system`."""
    frame = inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        if code.co_name in ("system", "getoutput") and code.co_filename.endswith(_SYSTEM):
            command = frame.f_locals.get("cmd")
            if isinstance(command, str):
                return Deed("command", command, "get_ipython().system")
        frame = frame.f_back
    return Deed("process", "a copy of the kernel", call)


_SYSTEM = "IPython/utils/_process_posix.py"


def _popen(arguments: Arguments) -> Deed:
    program, words = arguments[0], arguments[1]
    return Deed("command", _word(words) or _word(program), "subprocess.Popen")


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
    "shutil.rmtree": _at("remove", "shutil.rmtree", 1),
    "shutil.move": _at("remove", "shutil.move", 9),
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
    "os.fork": lambda _arguments: _forked("os.fork"),
    "os.forkpty": lambda _arguments: _forked("os.forkpty"),
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
EVENTS = frozenset(_READERS) | _NATIVE
"""The events that may be deeds."""
_THIN = ("subprocess.py", "os.py", "shutil.py", "signal.py", "ctypes/", "asyncio/", "tempfile.py")
"""Files of Python that only pass on a call: the file that called them counts."""
_POOLS = (
    *("multiprocessing/", "concurrent/", "joblib/", "loky/", "threadpoolctl.py", "platform.py"),
    "matplotlib/font_manager.py",
)
"""Files that start processes for computing, and ask the machine how it is made."""


def is_of_imports(deed: Deed) -> bool:
    """Whether Python's own import system keeps the code of a module beside it."""
    kept = deed.kind in ("write", "remove") and f"{os.sep}__pycache__{os.sep}" in deed.target
    return kept and "importlib._bootstrap_external" in _caller(passing=False)


def is_of_history() -> bool:
    """Whether IPython opens its own database of inputs, to keep the cell that runs."""
    file = _caller()
    return file.startswith(_LIBRARIES) and file.endswith("IPython/core/history.py")


def is_of_walk(deed: Deed) -> bool:
    """Whether Python's own walk through folders comes to this one by itself, as `os.walk` does.

    Code can forge that, and gains nothing: such a deed is never asked for.
    """
    if deed.call != "os.listdir":
        return False
    frame = inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        if code.co_name in _WALKS or code.co_qualname in _WALKS:
            return True
        if not code.co_filename.startswith((_OURS, _STANDARD, "<frozen")):
            return False
        frame = frame.f_back
    return False


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


def _caller(passing: bool = True) -> str:
    """The file of the code that called, behind files of ours, and those that only pass it on.

    `passing`: the latter are left out.
    """
    frame = inspect.currentframe()
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_OURS) and not (passing and _is_thin(file)):
            return file
        frame = frame.f_back
    return ""


def _is_thin(file: str) -> bool:
    if not file.startswith(_STANDARD) or "site-packages" in file:
        return file.startswith("<frozen")
    return any(f"/{it}" in file for it in _THIN)


_WALKS = frozenset(
    (
        *("walk", "_walk", "fwalk", "_fwalk", "_iterate_directories", "_rlistdir"),
        *("select_recursive", "select_recursive_step", "_RecursiveWildcardSelector._select_from"),
    )
)
"""Functions of `os`, `pathlib` and `glob` in Python 3.11 to 3.14."""
_OURS = os.path.dirname(__file__)
_STANDARD = os.path.dirname(os.__file__)
_LIBRARIES = tuple({sys.prefix, sys.base_prefix, _STANDARD})
