"""Finds sessions by their records: by name, or the latest of a place. Knows no live session."""

import time
from collections.abc import Sequence
from pathlib import Path

from ..errors import RecordError, UsageError
from ..frozen import frozen
from ..protocol.record_lines import SessionLine, TurnLine
from .record import ReadLine, is_open, read_record

_NAMED = 20
"""Most lost lines that are named."""


@frozen
class Place:
    """Where a session runs: its folder, and its notebook if that is known."""

    cwd: str
    notebook: str = ""

    @property
    def words(self) -> str:
        """The place in words."""
        return self.notebook or self.cwd


@frozen
class SessionFile:
    """A record, the place of its session, its first prompt, and the time of its last line."""

    path: Path
    place: Place
    said: str
    changed: float

    @property
    def words(self) -> str:
        """When, where and what, in one line."""
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.changed))
        return f"{when}, {self.place.words}: {self.said or 'no turn'}"


def all_sessions(folder: Path) -> list[Path]:
    """The records in a folder, the one that changed last first."""
    return sorted(folder.glob("*/*.jsonl"), key=lambda path: path.lstat().st_mtime, reverse=True)


def session_file(path: Path) -> SessionFile:
    """The record's session. Reads its first lines. One that cannot be read has no place."""
    place, said = Place(""), ""
    try:
        for read in read_record(path):
            match read.line:
                case SessionLine(cwd=cwd, notebook=notebook):
                    place = Place(cwd, notebook)
                case TurnLine():
                    said = read.line.said.strip().partition("\n")[0][:80]
                    break
                case _:
                    pass
    except RecordError:  # it must not hide the others
        return SessionFile(path, Place(""), "it cannot be read", path.lstat().st_mtime)
    return SessionFile(path, place, said, path.lstat().st_mtime)


def named_session(folder: Path, name: str) -> Path:
    """The record of the session whose id is `name`, or begins so. Raises UsageError."""
    found = [path for path in all_sessions(folder) if path.stem.startswith(name)]
    exact = [path for path in found if path.stem == name]
    if len(exact or found) == 1:
        return (exact or found)[0]
    raise UsageError(
        f"{len(found)} sessions in {folder} begin with {name!r}."
        if found
        else f"There is no session {name!r} in {folder}.",
        "`%agent history all` lists them.",
    )


def latest_session(folder: Path, here: Place, present: str, resumed: bool = False) -> Path:
    """The record that changed last of this notebook's. The `present` session's if it was `resumed`
    or is the only one, else that of another.

    Where none names the notebook, those of the folder count that name none. One that another
    kernel writes to is taken only if there is no other. Raises UsageError.
    """
    paths = all_sessions(folder)
    places = {path: session_file(path).place for path in paths}
    own = [path for path in paths if here.notebook and places[path].notebook == here.notebook]
    own = own or [path for path in paths if places[path] == Place(here.cwd)]
    others = [path for path in own if path.stem != present]
    if others and (len(others) == len(own) or not resumed):
        return next((path for path in others if not is_open(path)), others[0])
    if own:
        return next(path for path in own if path.stem == present)
    raise UsageError(
        f"There is no earlier session of {here.words}.",
        f"The latest is of another place ({session_file(paths[0]).words}):"
        f" `%agent resume {paths[0].stem}`."
        if paths
        else "`%agent history all` lists all sessions.",
    )


def lost_words(lost: Sequence[ReadLine]) -> str:
    """The lines that cannot be read, in words: `line 3 (item), line 7`."""
    some = [f"line {it.number}{f' ({it.kind})' if it.kind else ''}" for it in lost[:_NAMED]]
    return ", ".join([*some, *([f"{len(lost) - _NAMED:,} more"] if len(lost) > _NAMED else [])])
