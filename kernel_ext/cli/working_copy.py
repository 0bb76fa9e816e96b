"""The working copy of a notebook that is executed: its outputs go there, and the agent's edits.

The notebook itself is not touched until the run is over. Runs nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..notebook.file.edits import (
    AT_END,
    Delete,
    Insert,
    NewFileCell,
    SetOutputs,
    edited_notebook,
    upgraded,
)
from ..notebook.file.ipynb import Ipynb, parse_ipynb, read_ipynb

if TYPE_CHECKING:
    from nbformat import NotebookNode


class WorkingCopy:
    """A file with a notebook in format 4.5, in which each cell has an id of its own.

    `edited`: somebody else, who is the agent, has changed it.
    """

    def __init__(self, path: Path, data: bytes, more: Sequence[str] = ()) -> None:
        """Make the file from a notebook, with more code cells at its end. Raises UsageError."""
        self.path = path
        self.edited = False
        given = {cell.id for cell in parse_ipynb(data).cells}
        added = Insert(AT_END, tuple(NewFileCell("code", source) for source in more))
        self._known = parse_ipynb(edited_notebook(upgraded(data), [added] if more else []))
        self._added = [cell.id for cell in self._known.cells if cell.id not in given]
        self._write(self._known)

    def node(self) -> "NotebookNode":
        """The notebook as nbclient takes it."""
        from nbformat import v4

        return cast("Any", v4).reads(self._read().data.decode("utf-8-sig"))

    def source(self, cell_id: str) -> str | None:
        """The cell's present source. None if there is no such cell any more."""
        found = [cell.source for cell in self._read().cells if cell.id == cell_id]
        return found[0] if found else None

    def put(self, runs: Sequence[SetOutputs]) -> None:
        """Put outputs into those cells that are still there."""
        before = self._read()
        here = {cell.id for cell in before.cells if cell.kind == "code"}
        edits = [run for run in runs if run.id in here]
        self._write(parse_ipynb(edited_notebook(before.data, edits)))

    def data(self, added: bool) -> bytes:
        """The notebook, with or without the cells that were added to it at the beginning."""
        now = self._read()
        here = {cell.id for cell in now.cells}
        gone = [] if added else [Delete(each) for each in self._added if each in here]
        return edited_notebook(now.data, gone)

    def _read(self) -> Ipynb:
        if self._signature() != self._seen:
            self.edited = True
            self._seen, self._known = self._signature(), read_ipynb(self.path)
        return self._known

    def _write(self, notebook: Ipynb) -> None:
        self.path.write_bytes(notebook.data)
        self._seen, self._known = self._signature(), notebook

    def _signature(self) -> tuple[int, int, int]:
        state = self.path.stat()
        return state.st_mtime_ns, state.st_size, state.st_ino
