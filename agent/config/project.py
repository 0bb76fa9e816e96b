"""The project around a folder: its root, its AGENTS.md texts. Reads files, nothing else."""

from dataclasses import dataclass
from pathlib import Path

ROOT_MARKER = ".git"
DOC_NAMES = ("AGENTS.override.md", "AGENTS.md")
"""In each folder the first that exists and is not empty is read, as in Codex."""


@dataclass(frozen=True, slots=True)
class Doc:
    """One instructions file. `cut`: it did not fit the byte budget whole."""

    path: Path
    text: str
    cut: bool = False


def project_folders(cwd: Path) -> tuple[Path, ...]:
    """The folders from the project's root down to `cwd`; only `cwd` when nothing marks a root."""
    chain = [cwd, *cwd.parents]
    for depth, folder in enumerate(chain):
        if (folder / ROOT_MARKER).exists():
            return tuple(reversed(chain[: depth + 1]))
    return (cwd,)


def find_in_project(cwd: Path, name: str) -> Path | None:
    """The file called `name` nearest to `cwd`, not above the project's root."""
    found = (folder / name for folder in reversed(project_folders(cwd)))
    return next((path for path in found if path.is_file()), None)


def read_docs(cwd: Path, user_folder: Path, budget: int) -> tuple[Doc, ...]:
    """The AGENTS.md texts that hold in `cwd`: the user's own first, then from the root down.

    `budget`: bytes of all project files together. The file that exceeds it is cut, and later
    ones are left out. The user's own file is not counted.
    """
    docs = [doc for doc in [_read_doc(user_folder, budget=None)] if doc]
    for folder in project_folders(cwd):
        doc = _read_doc(folder, budget)
        if doc is not None:
            docs.append(doc)
            budget -= len(doc.text.encode())
    return tuple(docs)


def _read_doc(folder: Path, budget: int | None) -> Doc | None:
    if budget is not None and budget <= 0:
        return None
    for name in DOC_NAMES:
        try:
            raw = (folder / name).read_bytes()
        except OSError:
            continue
        if raw.strip():
            text = raw[:budget].decode(errors="replace")
            return Doc(folder / name, text, cut=budget is not None and len(raw) > budget)
    return None
