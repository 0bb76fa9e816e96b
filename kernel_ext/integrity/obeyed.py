"""Files that the agent obeys: notes what a step changes in them, and asks before it is followed.

Knows neither what the files say nor how they are read.
"""

import difflib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
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


class ObeyedFiles:
    """The instructions, settings and rules that hold for one kernel.

    A change that a step made waits until the next turn begins.
    """

    def __init__(self, user_folder: Path) -> None:
        self._user_folder = user_folder
        self._before: dict[Path, bytes | None] = {}
        self._waiting: dict[Path, tuple[bytes | None, bytes | None]] = {}

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
            if not person.is_there:
                del self._waiting[path]
                yield f"A step changed {path}, which the agent obeys. Nobody could be asked."
                continue
            holds = _asked(path, before, after, person, interruption)
            del self._waiting[path]
            if not holds:
                _put_back(path, before)
                yield f"{path} is as it was before a step changed it."


def _asked(
    path: Path,
    before: bytes | None,
    after: bytes | None,
    person: Person,
    interruption: Interruption,
) -> bool:
    was, now = ((it or b"").decode(errors="replace").splitlines() for it in (before, after))
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


def _content(path: Path) -> bytes | None:
    """None if it is no plain file, or is too large to keep."""
    with suppress(OSError):
        found = os.stat(path)
        if stat.S_ISREG(found.st_mode) and found.st_size <= MOST_KEPT_BYTES:
            return path.read_bytes()
    return None


def _put_back(path: Path, before: bytes | None) -> None:
    with suppress(OSError):
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)
