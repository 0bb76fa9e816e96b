"""Files that the agent obeys: notes what a step changes in them, and asks before it is followed.

Knows neither what the files say nor how they are read.
"""

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...agent.config.action_rules import RULES_FILE
from ...agent.config.planted import Held, read_planted, reason
from ...agent.config.project import DOC_NAMES, project_folders
from ...agent.config.settings import FILE_NAME
from ...agent.errors import TurnInterrupted
from ...agent.frozen import frozen
from ...agent.printable import visible
from ..approval.person import ForgedInputError, Person
from ..execution.interrupts import Interruption
from ..execution.stdin import Waiting
from ..sandbox.walls.folders import Folders, HeldFolders

MOST_KEPT_BYTES = 1 << 20
"""Bytes of a file that are kept. A larger one cannot be put back."""
MOST_SHOWN_LINES, MOST_SHOWN_CHARS = 60, 500
"""Changed lines that a question shows, and characters of a line."""


@frozen
class _Content:
    """The state of a file. `head`: its first bytes, None if there is none that may be read.

    `more`: in words, the part that is not kept.
    """

    head: bytes | None
    more: str = ""

    @property
    def lines(self) -> list[str]:
        """As a question shows them."""
        text = (self.head or b"")[:MOST_KEPT_BYTES].decode(errors="replace")
        return [*text.splitlines(), *([self.more] if self.more else [])]


@dataclass(slots=True)
class _Change:
    """A change that waits. `refused`: the person said no, and the file could not be put back."""

    root: Path | None
    before: _Content
    after: _Content
    refused: str = ""


class ObeyedFiles:
    """The instructions, settings and rules that hold for one kernel.

    A change that a step made waits until the person says yes. Until then, the file as it was holds.
    `folders`: where they are.
    """

    def __init__(self, user_folder: Path, folders: HeldFolders) -> None:
        self._user_folder, self.folders = user_folder, folders
        self._before: dict[Path, tuple[Path | None, _Content]] = {}
        self._waiting: dict[Path, _Change] = {}
        self._wanted: object = None
        self._paths: dict[Path, Path | None] = {}

    @property
    def held(self) -> Held:
        """The files as they were before the changes that wait, and before a step that runs. An edit
        of the person holds."""
        if not self._before:  # no step runs, so nobody else has changed them
            self._drop_edited()
        of_step = {path: before.head for path, (_, before) in self._before.items()}
        return of_step | {path: change.before.head for path, change in self._waiting.items()}

    def before(self, approve: Path | None = None, mcp_files: tuple[str, ...] = ()) -> None:
        """Look at the files before a step. `approve`: of rules that answer for the person.

        `mcp_files`: names of files of other programs that name servers.
        """
        now = self.folders.now
        folders = project_folders(Path(now.working))
        wanted = now, approve, mcp_files, len(folders)
        if wanted != self._wanted:  # to join paths takes longer than to look at the files
            self._wanted, self._paths = wanted, self._find(now, approve, mcp_files, folders)
        self._before = {path: (root, _content(path, root)) for path, root in self._paths.items()}

    def _find(
        self,
        now: Folders,
        approve: Path | None,
        mcp_files: tuple[str, ...],
        folders: tuple[Path, ...],
    ) -> dict[Path, Path | None]:
        """The paths of the files, each with the root of the project if it is one of that."""
        own = [self._user_folder / name for name in (FILE_NAME, RULES_FILE, *DOC_NAMES)]
        own += [now.path(approve)] if approve else []
        others = [Path(os.path.expanduser(name)) for name in mcp_files]
        own += [it for it in others if it.is_absolute() and not it.is_relative_to(folders[0])]
        names = [FILE_NAME, *DOC_NAMES, *others]
        theirs = [folder / name for folder in folders for name in names]
        return {**dict.fromkeys(theirs, folders[0]), **dict.fromkeys(own)}

    def after(self) -> Iterator[str]:
        """A sentence for each file that changed since then."""
        looked, self._before = self._before, {}
        for path, (root, before) in looked.items():
            if (now := _content(path, root)) != before:
                change = self._waiting.setdefault(path, _Change(root, before, now))
                change.after, change.refused = now, ""
                yield f"changed: {path}, which the agent obeys once the person has said yes to it"

    def written(self, path: Path) -> None:
        """The person's own answer has changed this file."""
        self._waiting.pop(path, None)
        if path in self._before:
            self._before[path] = (None, _content(path, None))

    def settle(self, person: Person, interruption: Interruption) -> Iterator[str]:
        """Ask whether each change holds, and put back what does not. Gives sentences about it.

        An edit of the person meanwhile holds. Raises TurnInterrupted.
        """
        self._before = {}
        self._drop_edited()
        for path, change in [*self._waiting.items()]:
            why = change.refused
            if not why and not person.is_there:
                why = "nobody can be asked"
            elif not why:
                if _asked(path, change, person, interruption):
                    del self._waiting[path]
                    continue
                why = change.refused = _put_back(path, change.before)
            if why:
                yield (
                    f"A step changed {path}, which the agent obeys: {why}. In this kernel, the"
                    " agent goes by what it was before."
                )
                continue
            del self._waiting[path]
            yield f"{path} is as it was before a step changed it."

    def _drop_edited(self) -> None:
        self._waiting = {
            path: it
            for path, it in self._waiting.items()
            if it.before != it.after == _content(path, it.root)
        }


def _asked(path: Path, change: _Change, person: Person, interruption: Interruption) -> bool:
    was, now = change.before.lines, change.after.lines
    found = list(difflib.unified_diff(was, now, "before", "now", lineterm="", n=1))
    shown = "\n".join(map(_in_question, found[:MOST_SHOWN_LINES]))
    more = (
        f"\n… {len(found) - MOST_SHOWN_LINES} more lines" if len(found) > MOST_SHOWN_LINES else ""
    )
    text = (
        f"A step of the agent changed {visible(str(path))}, which the agent obeys.\n{shown}{more}\n"
        "Follow it from now on? [y]es; any other answer puts the file back: "
    )
    try:
        return person.ask(text, interruption, Waiting()).lower() in ("y", "yes")
    except (ForgedInputError, EOFError):
        return False
    except KeyboardInterrupt:
        raise TurnInterrupted("You stopped the turn.") from None


def _in_question(line: str) -> str:
    more = len(line) - MOST_SHOWN_CHARS
    return visible(line[:MOST_SHOWN_CHARS]) + (f"… {more:,} more" if more > 0 else "")


def _content(path: Path, root: Path | None) -> _Content:
    """The state of a file, as the agent would read it."""
    if not os.path.lexists(path):
        return _Content(None)
    try:
        head = read_planted(path, MOST_KEPT_BYTES, root)
        found = os.stat(path)
    except FileNotFoundError:
        return _Content(None)
    except OSError as error:
        return _Content(None, f"unread: {reason(error)}")
    if len(head) <= MOST_KEPT_BYTES:
        return _Content(head)
    return _Content(head, f"{found.st_size:,} bytes of {found.st_mtime_ns}, not shown")


def _put_back(path: Path, before: _Content) -> str:
    """Put the file back. Returns why it could not be, else nothing."""
    if before.more:
        return "it is too large to put back" if before.head else "it could not be read"
    try:
        if before.head is None:
            path.unlink()
        else:
            path.write_bytes(before.head)
    except OSError as error:
        return f"it could not be put back ({error.strerror})"
    return ""
