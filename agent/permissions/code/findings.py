"""The findings in code: deeds that leave its variables, and the first thing not understood.

Knows walls and paths, but no syntax.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ...frozen import frozen
from ...protocol.trials import Deed, DeedKind, Walls
from ...text.secret_names import may_hold_key
from ..cover import holds_walls
from ..walls import is_inside, is_within, sqlite_path
from .files import FileUse
from .literals import UNKNOWN

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443, "ftp": 21, "ssh": 22, "sftp": 22}
_KINDS: Mapping[FileUse, DeedKind] = {
    "read": "read",
    "quiet_read": "read",
    "loads": "read",
    "remove": "remove",
}
_MADE = re.compile(r"[…*?\[{]")
"""The beginning of the part of a path that only a run shows, or that means many names."""
SOMEWHERE = "an address made while it runs"


def _no_source(_name: str) -> str | None:
    return None


def _as_it_is(path: str) -> str | None:
    return path


@frozen
class Surroundings:
    """Where code would run. `folder`: the working folder. `home`: of the person, or "".

    `source_of`: the Python that defines a name of the namespace, such as a `def`, a `class` (also
    for a value of a class of the person's), or `import numpy as np`. None for a plain value, and
    for a name that is not there. Text that is no Python is a definition that nobody can read.
    `real`: an absolute path without links, or None where nothing is.
    """

    folder: str = ""
    home: str = ""
    source_of: Callable[[str], str | None] = _no_source
    real: Callable[[str], str | None] = _as_it_is


@dataclass(slots=True)
class Findings:
    """`unread`: the first thing that is not plain, in words. `unheard`: the first one that the
    guard would not hear. `writer`: the first one that writes so where only a run shows."""

    walls: Walls
    around: Surroundings
    concerns: dict[Deed, None] = field(default_factory=dict[Deed, None])
    unread: str = ""
    unheard: str = ""
    writer: str = ""

    @property
    def folder(self) -> str:
        """The working folder."""
        return self.around.folder or next(iter(self.walls.workspace), "/")

    def not_plain(self, why: str) -> None:
        """Something is not known to compute, and no more."""
        self.unread = self.unread or why

    def not_heard(self, why: str) -> None:
        """Something is not plain, and may do what no event tells of."""
        self.unheard = self.unheard or why
        self.not_plain(why)

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
        real, known = self._resolved(path, use)
        kind = _KINDS.get(use, "write")
        if use == "loads":
            self.not_plain(f"{call} may run code of the file that it reads")
        if not is_inside(Deed(kind, real, call), self.walls) or (
            kind == "remove" and holds_walls(real, self.walls)
        ):
            self.concern(kind, real, call)
        elif use.startswith("quiet"):
            self.quietly(use, call, known)
        elif not is_within(real, (*self.walls.workspace, *self.walls.readable)):
            self.not_plain(f"{call}: {real} is outside the workspace")

    def quietly(self, use: FileUse, call: str, known: bool) -> None:
        """A use in C of a path. `known`: it leads into the workspace, whatever runs."""
        if use == "quiet" and known:
            self.not_plain(f"{call} writes past the guard")
        elif not known:
            self.not_heard(f"{call} of a path that only a run shows")
            if use == "quiet":
                self.writer = self.writer or call

    def _resolved(self, path: str, use: FileUse) -> tuple[str, bool]:
        """The path without links, as far as it is known, and whether it is known."""
        known = _MADE.split(path, maxsplit=1)[0]
        whole = known == path
        there = self.around.real(path) if whole and use != "remove" else None
        if there is not None:
            return there, self._is_ours(there)
        folder = os.path.dirname(known)
        real = self.around.real(folder)
        found = os.path.join(real or folder, path[len(folder) :].lstrip("/"))
        return found, whole and real is not None and self._is_ours(real)

    def _is_ours(self, path: str) -> bool:
        return is_within(path, (*self.walls.workspace, *self.walls.readable))

    def variable(self, name: str | None, call: str) -> None:
        """A variable of the environment is read. None: all of them, or any."""
        if name is None:
            self.concern("read", "the environment", call)
        elif may_hold_key(name):
            self.concern("read", name, call)

    def _absolute(self, text: str) -> str | None:
        path = sqlite_path(text) if text.startswith("file:") else text
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
