"""The project around a folder: its root, its AGENTS.md texts. Reads files, nothing else."""

import os
import time
from pathlib import Path
from typing import NamedTuple

from ..frozen import frozen
from .planted import NOTHING_HELD, Held, decoded, is_ours, read_planted, reason

ROOT_MARKER = ".git"
DOC_NAMES = ("AGENTS.override.md", "AGENTS.md")
"""In each folder the first that exists and is not empty is read, as in Codex."""
MOST_OWN_BYTES = 1 << 20
"""Most bytes of the user's own file."""
_SETTLED_SECONDS = 2.0
"""Seconds after which a file that is written again has another time, on every disk."""


@frozen
class Doc:
    """One instructions file. `cut`: it did not fit the byte budget whole."""

    path: Path
    text: str
    cut: bool = False


class Docs(NamedTuple):
    """The instructions files. `notices`: for the person, about the files that were refused."""

    docs: tuple[Doc, ...]
    notices: tuple[str, ...]


class ProjectDocs:
    """The AGENTS.md texts, read again only when they may be others than before."""

    def __init__(self, user_folder: Path) -> None:
        self._user_folder = user_folder
        self._last = Docs((), ())
        self._for: object = None

    def read(self, cwd: Path, budget: int, held: Held = NOTHING_HELD) -> Docs:
        """The same as `read_docs`."""
        if held:
            return read_docs(cwd, self._user_folder, budget, held)
        seen = _seen(cwd, self._user_folder)
        if seen is None or (seen, cwd, budget) != self._for:
            self._last = read_docs(cwd, self._user_folder, budget)
            self._for = seen and (seen, cwd, budget)
        return self._last


def project_folders(cwd: Path) -> tuple[Path, ...]:
    """The folders from the project's root down to `cwd`; only `cwd` when nothing marks a root.

    A root that is not this user's, or has such a folder below it, marks nothing. As in git, a
    stranger's `/tmp/.git` makes no project of your folders in `/tmp`.
    """
    folders = _marked(cwd)
    return (cwd,) if _stranger(folders) else folders


def read_docs(cwd: Path, user_folder: Path, budget: int, held: Held = NOTHING_HELD) -> Docs:
    """The AGENTS.md texts that hold in `cwd`: the user's own first, then from the root down.

    `budget`: bytes of all project files together. The file that exceeds it is cut, and later
    ones are left out. The user's own file is not counted. `held`: files that do not hold as they
    are now.
    """
    folders, notices = project_folders(cwd), list[str]()
    if stranger := _stranger(_marked(cwd)):
        notices.append(f"{stranger} belongs to another user: nothing above {cwd} is read.")
    docs = list[Doc]()
    for folder, root in ((user_folder, None), *((it, folders[0]) for it in folders)):
        most = budget if root else MOST_OWN_BYTES
        doc, refused = _read_doc(folder, most, root, held)
        notices += refused
        if doc is not None:
            docs.append(doc)
            budget -= len(doc.text.encode()) if root else 0
    return Docs(tuple(docs), tuple(notices))


def _seen(cwd: Path, user_folder: Path) -> tuple[object, ...] | None:
    """The state of all files that `read_docs` looks at. None if one has only just been written.

    Such a file may be written once more within the same moment of its clock.
    """
    found, newest = list[object](), 0.0
    folders = _marked(cwd)
    owned = (*map(str, folders), f"{folders[0]}/{ROOT_MARKER}")
    found += [owner and owner.st_uid for owner in map(_stat, owned)]
    for folder in map(str, (user_folder, *folders)):
        for doc in (_stat(f"{folder}/{name}") for name in DOC_NAMES):
            newest = max(newest, doc.st_ctime if doc else 0.0)
            found.append(doc and (doc.st_ino, doc.st_size, doc.st_mtime_ns, doc.st_ctime_ns))
    return tuple(found) if newest < time.time() - _SETTLED_SECONDS else None


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _marked(cwd: Path) -> tuple[Path, ...]:
    chain = [cwd, *cwd.parents]
    for depth, folder in enumerate(chain):
        if os.path.exists(f"{folder}/{ROOT_MARKER}"):
            return tuple(reversed(chain[: depth + 1]))
    return (cwd,)


def _stranger(folders: tuple[Path, ...]) -> Path | None:
    """The first path above the last folder that is not ours."""
    above = folders[:-1]
    asked = (*above, above[0] / ROOT_MARKER) if above else ()
    return next((path for path in asked if not is_ours(path)), None)


def _read_doc(
    folder: Path, budget: int, root: Path | None, held: Held
) -> tuple[Doc | None, list[str]]:
    """The file of a folder, and sentences about those that were refused."""
    notices = list[str]()
    for name in DOC_NAMES if budget > 0 else ():
        path = folder / name
        try:
            raw = read_planted(path, budget, root, held)
            text, right = decoded(raw[:budget])
        except FileNotFoundError:
            continue
        except OSError as error:
            notices.append(f"{path} is not read: {reason(error)}.")
            continue
        if text.strip():
            cut = len(raw) > budget
            if not right and not cut:
                notices.append(f"{path} has bytes that are no text: they are read as \ufffd.")
            return Doc(path, text, cut), notices
    return None, notices
