"""The notebook that the agent is in, and how to read and edit it at the moment. Knows no tool."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...agent.conversation.references import (
    CellIdStart,
    CellPositions,
    CountReference,
    no_cell,
    parse_reference,
)
from ..frontend import Surface, find_cell, find_surface
from ..shell import Shell
from .document import Document, DocumentError, Edge, LiveCell, NewCell
from .live import LiveDocument, connect

if TYPE_CHECKING:
    from .file.document import FileDocument

NO_NOTEBOOK = "There is no notebook here to read: give code and text in your answer."
NOT_EDITABLE = (
    "The notebook cannot be edited in this front end: nothing was changed. Give the code or text in"
    " your answer."
)


COPY_VARIABLE = "_INKERNEL_WORKING_COPY"
"""The environment variable with the file that a headless run works on in place of the notebook."""


@dataclass(slots=True)
class CurrentNotebook:
    """The notebook of one turn. `cell`: the id of the running cell, if the front end gives it.

    `seen`: sources by cell id, as the model knows them. `last`: the cell that it inserted last.
    `copy`: the file to work on in place of the notebook's own.
    """

    shell: Shell
    path: Path | None
    surface: Surface
    cell: str | None
    copy: Path | None = None
    seen: dict[str, str] = field(default_factory=dict[str, str])
    last: str | None = None
    _live: LiveDocument | None = None
    _file: "FileDocument | None" = None
    _asked: bool = False
    _next: list[str] = field(default_factory=list[str])

    @property
    def paths(self) -> tuple[str, ...]:
        """The path of its file, if it is known."""
        return (str(self.path),) if self.path else ()

    async def document(self) -> Document | None:
        """The document to read: the open notebook, else its file. None when there is neither."""
        if not self._asked:
            self._asked = True
            self._live = await connect(self.shell)
        if self._live is not None:
            return self._live
        file = self.copy or self.path
        if self._file is None and file and file.is_file():
            # Imported here: most turns read no file, and the first one must not wait for it.
            from .file.document import FileDocument

            self._file = FileDocument(file)
        return self._file

    async def editable(self) -> Document | None:
        """The document to edit. It is a file only when no front end can have it open."""
        found = await self.document()
        return found if found is self._live or self.surface == "headless" else None

    def how(self, document: Document) -> str:
        """The kind and age of a document, in words."""
        if self.copy is not None:
            return f"{self.path}, with your edits, which are saved when this run ends"
        if document is self._file and self._file is not None:
            saved = "edits since then are not in it" if self.surface != "headless" else "the file"
            return f"{self.path} as saved {_ago(self._file.age())} ago: {saved}"
        return "the open notebook, with edits that are not saved"

    def put_next(self, source: str) -> bool:
        """Put code into a new cell below when this one has ended. False if the front end cannot.

        It makes only one such cell, so further code is added to it.
        """
        if self.surface == "headless" or (self.surface == "notebook" and _is_colab()):
            return False
        self._next.append(source)
        return True

    def default_place(self) -> str | Edge:
        """The place after the last inserted cell, else after the running cell."""
        return self.last or self.cell or Edge.END

    def know(self, cells: Sequence[LiveCell]) -> None:
        """Note that the model has read these cells."""
        self.seen.update((cell.id, cell.source) for cell in cells)

    def close(self) -> None:
        """Close the connection to the page, and make the new cell below."""
        if self._next:
            self.shell.set_next_input("\n\n".join(self._next))
        if self._live is not None:
            self._live.close()


def current_notebook(shell: Shell, path: str | None) -> CurrentNotebook:
    """The notebook of the turn that begins now."""
    copy = os.environ.get(COPY_VARIABLE)
    return CurrentNotebook(
        shell,
        Path(path) if path else None,
        find_surface(shell),
        find_cell(shell),
        Path(copy) if copy else None,
    )


def find_cells(cells: Sequence[LiveCell], words: str) -> list[LiveCell]:
    """The cells that a text names: an id or its start, `In [12]`, `#3` (from 1), `#3-#7`.

    Raises DocumentError when there is none, or when several ids begin with it.
    """
    words = words.strip()
    found = _found(cells, words)
    if found:
        return found
    if several := [f"#{number}" for number, cell in enumerate(cells, 1) if cell.shared == words]:
        which = f"The id {words!r} is not one cell's own. Name it by number: {', '.join(several)}."
        raise DocumentError("bad request", which)
    raise DocumentError("no cell", f"{no_cell(words)} notebook_read lists them.")


def one_cell(cells: Sequence[LiveCell], words: str) -> LiveCell:
    """The one cell that a text names. Raises DocumentError."""
    found = find_cells(cells, words)
    if len(found) > 1:
        raise DocumentError("bad request", f"{words!r} names {len(found)} cells: name one.")
    return found[0]


def new_cell(kind: str, source: str) -> NewCell:
    """A cell without outputs."""
    return NewCell("markdown" if kind == "markdown" else "raw" if kind == "raw" else "code", source)


def _found(cells: Sequence[LiveCell], words: str) -> list[LiveCell]:
    exact = [cell for cell in cells if cell.id == words]
    if exact or not words:
        return exact
    match parse_reference(words):
        case CellPositions(first, last):
            return list(cells[max(first - 1, 0) : last])
        case CountReference(count, bare=False):
            return [cell for cell in cells if cell.execution_count == count][-1:]
        case _:
            starts = [cell for cell in cells if CellIdStart(words).names(cell.id)]
    if len(starts) > 1:
        raise DocumentError("bad request", f"{words!r} is the start of {len(starts)} cells' ids.")
    return starts


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{int(seconds)} s"


def _is_colab() -> bool:
    return "google.colab" in sys.modules
