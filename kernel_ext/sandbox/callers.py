"""Who does a deed, and on which path, whatever code has done to Python. Knows no verdicts.

Code may replace functions of `os`, and give a path of a class of its own. So what is called here is
bound when this file is imported, and of a class of the code's own only its text counts.
The file of the nearest caller decides who does a deed, which code can forge. So no more is spared
than libraries need. One that only calls what it was given does nothing for its own sake.
"""

import builtins
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from os import DirEntry, fspath, get_exec_path, lstat, readlink
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from time import sleep
from types import CodeType, FrameType, ModuleType, SimpleNamespace
from typing import Any, cast

from ...agent.protocol.trials import Deed

MOST_DESCRIPTORS = 256
"""Descriptors that are looked at for a folder from which a relative path may start."""
_MOMENT = 0.01
"""Seconds for which a folder that counts stays open."""
_PATHS = (PosixPath, WindowsPath, PurePosixPath, PureWindowsPath)
_METHODS = (PurePath.__fspath__, PurePath.__str__)
_CODING = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
_REGULAR, _KINDS = 0o100000, 0o170000


def _own_copy(module: ModuleType) -> Any:
    """A second copy of a module of Python, for which all that it calls stays as it is now."""
    spec = importlib.util.find_spec(module.__name__)
    assert spec is not None and spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    vars(copy)["__builtins__"] = {**vars(builtins)}
    spec.loader.exec_module(copy)
    for name, it in [*vars(copy).items()]:
        if isinstance(it, ModuleType):
            setattr(copy, name, SimpleNamespace(**vars(it)))
    return copy


_own_path = _own_copy(os.path)


def plain_text(value: object) -> str:
    """The text of a path. Raises TypeError for an object that may give another one each time."""
    kind = type(value)
    if issubclass(kind, bytes):
        return bytes.decode(cast("bytes", value), *_CODING)
    known = kind in _PATHS and (PurePath.__fspath__, PurePath.__str__) == _METHODS
    if known or kind is DirEntry:
        return str.__str__(fspath(cast("PurePath", value)))
    return str.__str__(cast("str", value))


def as_number(value: object) -> int | None:
    """The number, of whatever class it is. None: it is none."""
    return int.__int__(cast("int", value)) if issubclass(type(value), int) else None


def entry_path(path: object, folder: int = -1) -> str:
    """The absolute path of a name in its folder, which may itself be a link."""
    text = _own_path.abspath(_below(path, folder))
    return _own_path.join(_own_path.realpath(_own_path.dirname(text)), _own_path.basename(text))


def real_path(path: object, folder: int = -1) -> str:
    """The absolute path without links. The last part need not be there."""
    number = as_number(path)
    if number is not None:
        try:
            return readlink(f"/proc/self/fd/{number}")
        except OSError:
            return f"descriptor {number}"
    return _own_path.realpath(_below(path, folder))


def from_folder(folder: str, path: str) -> str:
    """The absolute path without links of one that is relative to a folder."""
    return _own_path.realpath(_own_path.join(folder, path))


def parent_folder(path: str) -> str:
    """The folder of a path."""
    return _own_path.dirname(path)


def is_relative(path: str) -> bool:
    """Whether a path starts from a folder that it does not name."""
    return not _own_path.isabs(path)


def open_folders() -> Iterable[str]:
    """The folders that stay open as a descriptor. SQLite opens one for a moment, on its thread."""
    found = set(_open_folders())
    if found:
        sleep(_MOMENT)
        found &= set(_open_folders())
    return found


def _open_folders() -> Iterable[str]:
    for number in range(3, MOST_DESCRIPTORS):
        with suppress(OSError):
            path = readlink(f"/proc/self/fd/{number}")
            if path[:1] == "/" and lstat(path).st_mode & _KINDS == 0o040000:
                yield path


def has_second_name(path: str) -> bool:
    """Whether a file has a second name, which may lie anywhere (a hard link)."""
    with suppress(OSError, ValueError):
        state = lstat(path)
        return state.st_mode & _KINDS == _REGULAR and state.st_nlink > 1
    return False


def exists(path: str) -> bool:
    """Whether something is at a path."""
    with suppress(OSError, ValueError):
        lstat(path)
        return True
    return False


def _below(path: object, folder: int) -> str:
    text = plain_text(path)
    return _own_path.join(readlink(f"/proc/self/fd/{folder}"), text) if folder >= 0 else text


_PACKAGE = f"{__name__.partition('.')[0]}."
_STANDARD = os.path.dirname(os.__file__)
_LIBRARIES = tuple({sys.prefix, sys.base_prefix, _STANDARD})
_THIN = ("subprocess.py", "os.py", "shutil.py", "signal.py", "ctypes/", "asyncio/", "tempfile.py")
"""Files of Python that only pass on a call: the file that called them counts."""
_STARTERS = ("/multiprocessing/popen_fork.py", "/loky/backend/popen_loky_posix.py")
"""Files that start a pool's processes, and end them."""
_SERVER = "/multiprocessing/forkserver.py"
_SERVER_SOCKET = re.compile(r".*/pymp-[^/]+/listener-[^/]+")
"""The file that starts a pool's server and speaks to it, and where."""
_SPAWNING = ("/multiprocessing/util.py", "/loky/backend/fork_exec.py")
_SPAWNERS = (
    *("/multiprocessing/popen_spawn_posix.py", "/multiprocessing/resource_tracker.py"),
    *(_SERVER, "/loky/backend/resource_tracker.py"),
    "/loky/backend/popen_loky_posix.py",
)
"""Files that start a new Python by a function in C, and the files that have them do it."""
_ASKERS: Mapping[str, Sequence[str]] = {
    "/loky/backend/context.py": ("lscpu --parse=core",),
    "/loky/backend/utils.py": ("pgrep -P ",),
    "/matplotlib/font_manager.py": ("fc-list --help", "fc-list --format="),
    "/platform.py": ("uname -p", "file -b "),
}
"""Files that ask the machine how it is made, and the beginnings of their commands."""
_OF_SYSTEM = ("/usr/", "/bin/", "/sbin/")
_WALKS = frozenset(
    (
        *("walk", "_walk", "fwalk", "_fwalk", "_iterate_directories", "_rlistdir"),
        *("select_recursive", "select_recursive_step", "_RecursiveWildcardSelector._select_from"),
    )
)
"""Functions of `os`, `pathlib` and `glob` in Python 3.11 to 3.14."""
_IMPORTS = "importlib._bootstrap_external"
_HISTORY = "/IPython/core/history.py"
_SYSTEM = "IPython/utils/_process_posix.py"


def is_bytecode(deed: Deed, frame: FrameType | None) -> bool:
    """Whether Python's import system keeps the code of a module beside it, and can go without."""
    here = deed.kind in ("write", "remove") and "__pycache__" in deed.target.split(os.sep)[-2:]
    return here and frame is not None and _IMPORTS in _file(frame.f_code)


def is_of_history(deed: Deed, frame: FrameType | None) -> bool:
    """Whether IPython opens its database of inputs, to keep the cell that runs."""
    return (
        deed.call == "sqlite3.connect"
        and deed.target.endswith("/history.sqlite")
        and _caller(frame).endswith(_HISTORY)
    )


def is_of_walk(deed: Deed, frame: FrameType | None) -> bool:
    """Whether Python's own walk through folders comes to this one by itself, as `os.walk` does.

    Code can forge that, and gains nothing: such a deed is never asked for.
    """
    while deed.call == "os.listdir" and frame is not None:
        code = frame.f_code
        if code.co_name in _WALKS or code.co_qualname in _WALKS:
            return True
        if not _file(code).startswith((_STANDARD, "<frozen")):
            return False
        frame = frame.f_back
    return False


def is_of_library(deed: Deed, frame: FrameType | None) -> bool:
    """Whether a library does this for its own sake: a pool of processes, code that it loads."""
    match deed.kind:
        case "native":
            found = next(_callers(frame), None)
            return (
                found is not None and _file(found.f_code).startswith(_LIBRARIES) and _loads(found)
            )
        case "process":
            return _is_library(_caller(frame), _STARTERS) and (
                deed.call == "os.fork" or (deed.call == "os.kill" and _is_own(deed.target))
            )
        case "network":
            here = _SERVER_SOCKET.fullmatch(deed.target) is not None
            return here and _is_library(_caller(frame), (_SERVER,))
        case "command":
            file = _caller(frame)
            if _is_library(file, _SPAWNING):
                return _spawns(frame) and deed.target.startswith(f"{sys.executable} ")
            words = next((it for end, it in _ASKERS.items() if _is_library(file, (end,))), ())
            return deed.target.startswith(tuple(words)) and _is_of_system(deed.target)
        case _:
            return False


def is_of_package(frame: FrameType | None) -> bool:
    """Whether code of this package runs, perhaps through a library that it calls."""
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if type(name) is str and name.startswith(_PACKAGE):
            return frame.f_globals is vars(sys.modules.get(name, sys))
        if not _file(frame.f_code).startswith((*_LIBRARIES, "<frozen")):
            return False
        frame = frame.f_back
    return False


def _spawns(frame: FrameType | None) -> bool:
    """Whether the library that starts a new Python does so for a pool of its own."""
    files = (_file(it.f_code) for it in _callers(frame))
    return _is_library(next((it for it in files if not it.endswith(_SPAWNING)), ""), _SPAWNERS)


def command_of_shell(frame: FrameType | None) -> str:
    """The `!command` that IPython starts by a fork, within its `system`. Empty: it does not."""
    while frame is not None:
        if frame.f_code.co_name in ("system", "getoutput") and _file(frame.f_code).endswith(
            _SYSTEM
        ):
            command = frame.f_locals.get("cmd")
            return str.__str__(command) if isinstance(command, str) else ""
        frame = frame.f_back
    return ""


def _caller(frame: FrameType | None) -> str:
    """The file of the code that called, behind those that only pass it on."""
    found = next(_callers(frame), None)
    return "" if found is None else _file(found.f_code)


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        if not _is_thin(_file(frame.f_code)):
            yield frame
        frame = frame.f_back


def _file(code: CodeType) -> str:
    return str.__str__(code.co_filename)


def _is_library(file: str, ends: tuple[str, ...]) -> bool:
    return file.startswith(_LIBRARIES) and file.endswith(ends)


def _is_thin(file: str) -> bool:
    if not file.startswith(_STANDARD) or "site-packages" in file:
        return file.startswith("<frozen")
    return any(f"/{it}" in file for it in _THIN)


def _loads(frame: FrameType) -> bool:
    """Whether the library's file itself uses ctypes. Any file may call what it was given."""
    return any(_is_of_ctypes(it) for it in tuple(frame.f_globals.values()))


def _is_of_ctypes(value: Any) -> bool:
    kind = cast("type[Any]", type(value))
    if kind is ModuleType:
        return value is sys.modules.get("ctypes")
    return (value.__module__ if kind is type else kind.__module__) in ("ctypes", "_ctypes")


def _is_own(target: str) -> bool:
    """Whether the process of a signal was started by this one or by one of its own, or is gone."""
    number = target.partition(" ")[0]
    if sys.platform == "win32":
        return False
    try:
        os.waitid(os.P_PID, int(number), os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ValueError:
        return False
    except OSError:
        parent = _parent(number)
        return sys.platform == "linux" and (not parent or _parent(parent) == str(os.getpid()))
    return True


def _parent(number: str) -> str:
    """The number of a process's parent. Empty if there is no such process."""
    with suppress(OSError), open(f"/proc/{number}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[1].decode()
    return ""


def _is_of_system(command: str) -> bool:
    """Whether the program that the system would find is one of its own."""
    if os.get_exec_path is not get_exec_path:
        return False
    program = command.partition(" ")[0]
    places = (from_folder(it, program) for it in get_exec_path())
    return next(filter(exists, places), "").startswith(_OF_SYSTEM)
