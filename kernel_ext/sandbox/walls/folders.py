"""The folders by which the walls are found, as the person's cells left them. Knows no walls.

Code of a step may change them all, and its changes do not count, now or later.
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

from ....agent.frozen import frozen
from ...environment import data_folder, variables_now, working_folder

_CACHES = ("XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "XDG_CONFIG_HOME")
_WORDS = {
    "working": "the working folder",
    "home": "the home folder",
    "temporary": "the folder for temporary files",
    "data": "the folder of your data",
    "caches": "the folders for caches",
}


@frozen
class Folders:
    """Paths as the process has them. `caches`: of `XDG_CACHE_HOME` and its like, in fixed order."""

    working: str
    home: str
    temporary: str
    data: str
    caches: tuple[str, ...]

    def path(self, typed: Path) -> Path:
        """The path that the person means by a relative one, or by one below `~`."""
        rest = typed.relative_to("~") if typed.parts[:1] == ("~",) else None
        return Path(self.home, rest) if rest is not None else Path(self.working, typed)


def find_folders() -> Folders:
    """The folders now."""
    return Folders(
        working=str(working_folder()),
        home=os.path.expanduser("~"),
        temporary=str(tempfile.gettempdir()),
        data=str(data_folder(None)),
        caches=tuple(os.environ.get(name, "") for name in _CACHES),
    )


class HeldFolders:
    """The folders that hold in one kernel.

    A change holds that came while a cell of the person ran, and no step.
    """

    def __init__(self) -> None:
        self._seen: object = None
        self._last = self.now = self._find()
        self._cell: Folders | None = None
        self._step = self.now

    def cell_begins(self) -> None:
        """A cell of the person begins."""
        self._cell = self._find()

    def cell_ends(self) -> None:
        """It ends."""
        self.follow()
        self._cell = None

    def follow(self) -> None:
        """Take over all changes of the person's cell so far, if one runs."""
        if self._cell is not None:
            now = self._find()
            self.now = replace(self.now, **_differences(self._cell, now))
            self._cell = now

    def step_begins(self) -> None:
        """A step begins."""
        self._step = self._find()

    def step_ends(self) -> Iterator[str]:
        """It ends. Gives a sentence about each change that it has made."""
        changed = _differences(self._step, self._find())
        if self._cell is not None:
            self._cell = replace(self._cell, **changed)
        for name in changed:
            held = getattr(self.now, name)
            stays = f": the walls stay around {held}" if isinstance(held, str) else ""
            yield f"changed: {_WORDS[name]}{stays}, until you change it in a cell of your own"

    def _find(self) -> Folders:
        """The folders now. All but the working folder follow from these variables."""
        seen = variables_now(), tempfile.tempdir
        if seen != self._seen:
            self._seen, self._last = seen, find_folders()
        return replace(self._last, working=str(working_folder()))


def _differences(before: Folders, after: Folders) -> dict[str, object]:
    pairs = {it.name: (getattr(before, it.name), getattr(after, it.name)) for it in fields(before)}
    return {name: now for name, (was, now) in pairs.items() if was != now}
