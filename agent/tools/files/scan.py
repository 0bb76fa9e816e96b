"""Finds the files of a folder that can be searched. Reads no file.

Left out are hidden files and folders, folders that programs make, and files that git ignores.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .readers.kinds import document_kind

MAX_SEEN_FILES = 100_000
"""Most files of a folder that are looked at."""
GIT_SECONDS = 10
"""How long git may take to list its files."""
_MADE = frozenset(("__pycache__", "node_modules", "site-packages", "venv", "build", "dist"))
_LIST = (
    *("git", "-c", "core.fsmonitor=false", "-c", "core.quotepath=false", "ls-files", "-z"),
    *("--cached", "--others", "--exclude-standard", "--deduplicate"),
)
"""Nothing that a project's own settings of git name is run by this."""


class SeenFile(NamedTuple):
    """A file as it is now: its path below the folder, nanoseconds of its last change, bytes."""

    path: str
    changed: int
    size: int


def seen_files(folder: Path) -> list[SeenFile]:
    """The files of a folder that a reader reads, by path."""
    found = list[SeenFile]()
    for path in _listed(folder):
        if document_kind(path) and not _is_hidden(path):
            try:
                stat = os.lstat(folder / path)
            except (OSError, ValueError):
                continue
            if os.path.isfile(folder / path) and _is_within(folder, path):
                found.append(SeenFile(path, stat.st_mtime_ns, stat.st_size))
        if len(found) == MAX_SEEN_FILES:
            break
    return sorted(found)


def _listed(folder: Path) -> Iterator[str]:
    """The paths of all files below a folder."""
    if any(os.path.lexists(it / ".git") for it in (folder, *folder.parents)):
        try:
            ran = subprocess.run(_LIST, cwd=folder, capture_output=True, timeout=GIT_SECONDS)
        except (OSError, subprocess.SubprocessError):
            ran = None
        if ran is not None and ran.returncode == 0:
            yield from filter(None, os.fsdecode(ran.stdout).split("\0"))
            return
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(it for it in folders if not it.startswith(".") and it not in _MADE)
        inner = os.path.relpath(place, folder)
        yield from (it if inner == "." else os.path.join(inner, it) for it in sorted(files))


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") or part in _MADE for part in path.split(os.sep))


def _is_within(folder: Path, path: str) -> bool:
    """Whether a link leads to a file of the folder, if it is one."""
    whole = folder / path
    return not os.path.islink(whole) or whole.resolve().is_relative_to(folder.resolve())
