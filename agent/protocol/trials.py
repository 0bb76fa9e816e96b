"""Deeds of code beyond its variables, and a trial run of it in a copy. Values only.

Knows neither how a copy is confined nor who judges what it did.
"""

from typing import Literal

from ..frozen import frozen
from .cells import Output

DeedKind = Literal[
    "read", "write", "remove", "network", "command", "process", "native", "kernel", "memory"
]
"""`read`, `write`, `remove`: of a file or folder. `network`: a connection, a name looked up, a
listening socket. `command`: another program. `process`: a fork, a signal, a new session. `native`:
code that no hook sees, such as ctypes. `kernel`: our own parts, or the shell's. `memory`: more than
the limit."""


@frozen
class Deed:
    """One thing that code did, or tried to do, outside its own variables.

    `target`: an absolute path, `host:port`, a command line, or a name. `call`: the function or
    event through which it came, for the person.
    """

    kind: DeedKind
    target: str
    call: str = ""


@frozen(kw_only=True)
class Walls:
    """The files and folders that code may use, absolute and without links.

    `workspace`: read and written. `readable`: read only. Within them, `protected` ones are not
    written, and `secret` ones neither written nor read.
    """

    workspace: tuple[str, ...]
    readable: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()


@frozen(kw_only=True)
class Trial:
    """One run in a confined copy of the kernel. The live kernel has nothing of it.

    `status`: `cut` at its time limit, `killed` by a limit or a crash, `none` if it could not run.
    `why`: the reason for `killed` and `none`, in words. `denied`: what the walls refused. `deeds`:
    what it did within the walls, such as files written. `created`, `rebound`, `changed` (in place),
    `deleted`: names, sorted. `error`: the exception that ended it, in a line. `protection`: the
    walls that were in force, in words.
    """

    status: Literal["ok", "error", "cut", "killed", "none"]
    why: str = ""
    denied: tuple[Deed, ...] = ()
    deeds: tuple[Deed, ...] = ()
    outputs: tuple[Output, ...] = ()
    created: tuple[str, ...] = ()
    rebound: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0
    protection: str = ""


@frozen(kw_only=True)
class Cover:
    """The deeds that a verdict covers. While code runs live, the guard stops the first other one.

    `walls`: within them, code does as they say. `caches`: folders in which libraries may write
    besides. `readable`: what may be read besides. None: all but secrets. `allowed`: further deeds,
    which the code showed in its source or its trial, and which the person or a rule allowed. Their
    `call` counts for nothing. `kinds`: all deeds of these kinds are allowed.
    """

    walls: Walls
    caches: tuple[str, ...] = ()
    allowed: tuple[Deed, ...] = ()
    readable: tuple[str, ...] | None = None
    kinds: frozenset[DeedKind] = frozenset()
