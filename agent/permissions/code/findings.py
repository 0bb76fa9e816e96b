"""The findings in code: deeds that leave its variables, and the first thing not understood.

Knows walls and paths, but no syntax.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ...frozen import frozen
from ...protocol.trials import Deed, DeedKind, Walls
from ...text.secret_names import may_hold_key
from ..cover import holds_walls
from ..walls import is_inside, is_within
from .files import FileUse
from .literals import UNKNOWN

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443, "ftp": 21, "ssh": 22, "sftp": 22}
SOMEWHERE = "an address made while it runs"


def _no_source(_name: str) -> str | None:
    return None


@frozen
class Surroundings:
    """Where code would run. `folder`: the working folder. `home`: of the person, or "".

    `source_of`: the Python that defines a name of the namespace, such as a `def`, a `class` (also
    for a value of a class of the person's), or `import numpy as np`. None for a plain value, and
    for a name that is not there. Text that is no Python is a definition that nobody can read.
    """

    folder: str = ""
    home: str = ""
    source_of: Callable[[str], str | None] = _no_source


@dataclass(slots=True)
class Findings:
    """`unread`: the first thing that is not plain, in words."""

    walls: Walls
    around: Surroundings
    concerns: dict[Deed, None] = field(default_factory=dict[Deed, None])
    unread: str = ""

    @property
    def folder(self) -> str:
        """The working folder."""
        return self.around.folder or next(iter(self.walls.workspace), "/")

    def not_plain(self, why: str) -> None:
        """Something is not known to compute, and no more."""
        self.unread = self.unread or why

    def concern(self, kind: DeedKind, target: str, call: str) -> None:
        """Something leaves the variables."""
        self.concerns[Deed(kind, target, call)] = None
        self.not_plain(f"{call}: {target}")

    def address(self, text: str | None, call: str) -> None:
        """A connection to an address, if the text has one."""
        self.concern("network", (text and host_of(text)) or SOMEWHERE, call)

    def file(self, use: FileUse, text: str, call: str) -> None:
        """A use of one path."""
        if host_of(text):
            self.address(text, call)
            return
        path = self._absolute(text)
        if path is None:
            self.not_plain(f"{call}: a path below ~")
            return
        kind: DeedKind = "remove" if use == "remove" else "read" if use == "read" else "write"
        if use == "loads":
            kind = "read"
            self.not_plain(f"{call} may run code of the file that it reads")
        deed = Deed(kind, path, call)
        if not is_inside(deed, self.walls) or (kind == "remove" and holds_walls(path, self.walls)):
            self.concern(kind, path, call)
        elif use == "quiet":
            self.not_plain(f"{call} writes past the guard")
        elif not is_within(path, (*self.walls.workspace, *self.walls.readable)):
            self.not_plain(f"{call}: {path} is outside the workspace")

    def variable(self, name: str | None, call: str) -> None:
        """A variable of the environment is read. None: all of them, or any."""
        if name is None:
            self.concern("read", "the environment", call)
        elif may_hold_key(name):
            self.concern("read", name, call)

    def _absolute(self, text: str) -> str | None:
        path = text.removeprefix("file://")
        if path.startswith("~"):
            if (
                not self.around.home
                or not path.startswith(("~/", "~"))
                or path[1:2] not in ("", "/")
            ):
                return None
            path = self.around.home + path[1:]
        return os.path.normpath(os.path.join(self.folder, path.replace("\0", UNKNOWN)))


def host_of(text: str) -> str:
    """`host:port` of an address. Empty if the text is none."""
    found = _URL.match(text)
    if not found or text.startswith(("file://", "sqlite://", "duckdb://", "memory://")):
        return ""
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS.get(parts.scheme.lower())
        host = parts.hostname or UNKNOWN
    except ValueError:
        return UNKNOWN
    return f"{host}:{port}" if port else host
