"""Files that the agent obeys: notes what a step changes in them, and asks before it is followed.

Knows neither what the files say nor how they are read.
"""

import difflib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ...agent.config.action_rules import RULES_FILE
from ...agent.config.project import DOC_NAMES, project_folders
from ...agent.config.settings import FILE_NAME
from ...agent.errors import TurnInterrupted
from ...agent.printable import visible
from ..approval.person import ForgedInputError, Person
from ..execution.interrupts import Interruption
from ..execution.stdin import Waiting

MOST_KEPT_BYTES = 1 << 20
"""Bytes of a file that are kept, to put it back. A larger one is named alone."""
MOST_SHOWN_LINES = 60
"""Changed lines that a question shows."""

Content = bytes | str | None
"""The bytes of a file. None: there is none. A text: the state of one that is not kept."""


class ObeyedFiles:
    """The instructions, settings and rules that hold for one kernel.

    A change that a step made waits until the next turn begins.
    """

    def __init__(self, user_folder: Path) -> None:
        self._user_folder = user_folder
        self._before: dict[Path, Content] = {}
        self._waiting: dict[Path, tuple[Content, Content]] = {}

    @property
    def wait(self) -> bool:
        """Whether a change waits. Until then, the texts of before hold."""
        return bool(self._waiting)

    def before(self, cwd: Path) -> None:
        """Look at the files before a step."""
        folders = [self._user_folder, *project_folders(cwd)]
        names = (FILE_NAME, *DOC_NAMES)
        paths = [folder / name for folder in folders for name in names]
        self._before = {path: _content(path) for path in (*paths, self._user_folder / RULES_FILE)}

    def after(self) -> Iterator[str]:
        """A sentence for each file that changed since then."""
        for path, before in self._before.items():
            now = _content(path)
            if now != before:
                first = self._waiting.get(path, (before, now))[0]
                self._waiting[path] = (first, now)
                yield f"changed: {path}, which the agent obeys from the next turn on"

    def settle(self, person: Person, interruption: Interruption) -> Iterator[str]:
        """Ask whether each change holds, and put back what does not. Gives sentences about it.

        An edit of the person meanwhile holds. Raises TurnInterrupted.
        """
        while self._waiting:
            path, (before, after) = next(iter(self._waiting.items()))
            if before == after or _content(path) != after:
                del self._waiting[path]
                continue
            if isinstance(before, str) or not person.is_there:
                del self._waiting[path]
                why = "Nobody could be asked" if not person.is_there else "It is too large to keep"
                yield f"A step changed {path}, which the agent obeys. {why}, so it holds."
                continue
            holds = _asked(path, before, after, person, interruption)
            del self._waiting[path]
            if not holds:
                yield _put_back(path, before)


def _asked(
    path: Path, before: Content, after: Content, person: Person, interruption: Interruption
) -> bool:
    was, now = (_lines(it) for it in (before, after))
    found = list(difflib.unified_diff(was, now, "before", "now", lineterm="", n=1))
    shown = "\n".join(visible(line) for line in found[:MOST_SHOWN_LINES])
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


def _lines(content: Content) -> list[str]:
    text = content.decode(errors="replace") if isinstance(content, bytes) else content or ""
    return text.splitlines()


def _content(path: Path) -> Content:
    try:
        found = os.stat(path)
        if stat.S_ISREG(found.st_mode) and found.st_size <= MOST_KEPT_BYTES:
            return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"unread: {error.strerror}"
    return f"{found.st_size:,} bytes of {found.st_mtime_ns}, not shown"


def _put_back(path: Path, before: bytes | None) -> str:
    """Put the file back. Returns the sentence that says whether it is."""
    try:
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)
    except OSError as error:
        return f"{path} could not be put back, so the change holds: {error.strerror}."
    return f"{path} is as it was before a step changed it."
