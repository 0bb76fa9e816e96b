"""A notebook's file as a document, if no front end has it open. Knows no front end."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ....agent.errors import UsageError
from ..document import About, Document, DocumentError, Edge, LiveCell, NewCell
from . import edits
from .ipynb import Ipynb, made_id, outputs, parse_ipynb, read_ipynb, write_ipynb


class FileDocument(Document):
    """It reads a changed file again. It writes each edit at once, completely or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[tuple[int, int, int], Ipynb] | None = None

    def age(self) -> float:
        """Seconds since it was saved. Raises DocumentError."""
        try:
            return max(0.0, time.time() - self._path.stat().st_mtime)
        except OSError as error:
            raise DocumentError("failed", f"{self._path}: {error.strerror}.") from None

    async def describe(self) -> About:
        found = self._read()
        return About(str(self._path), False, len(found.cells), False, False)

    async def cells(self) -> tuple[LiveCell, ...]:
        return tuple(
            LiveCell(
                id=cell.id,
                kind=cell.kind,
                source=cell.source,
                execution_count=cell.execution_count,
                metadata=cell.metadata,
                running=False,
                shared=cell.shared,
            )
            for cell in self._read().cells
        )

    async def outputs(self, cell: str) -> list[dict[str, Any]]:
        try:
            return list(outputs(self._read().cell(cell)))
        except UsageError as error:
            raise DocumentError("no cell", error.message) from None

    async def insert(self, after: str | Edge, cells: Sequence[NewCell]) -> tuple[str, ...]:
        taken = {cell.id for cell in self._read().cells}
        ids: list[str] = []
        for number, cell in enumerate(cells):
            ids.append(made_id(f"{number}{time.time_ns()}{cell.source}", taken))
            taken.add(ids[-1])
        new = tuple(
            edits.NewFileCell(
                kind=cell.kind,
                source=cell.source,
                id=each,
                metadata=cell.metadata,
                outputs=tuple(cell.outputs),
                execution_count=cell.execution_count,
            )
            for each, cell in zip(ids, cells, strict=True)
        )
        self._write(edits.Insert(_place(after), new))
        return tuple(ids)

    async def replace(self, cell: str, source: str, expect: str) -> None:
        self._write(edits.Replace(cell, source, self._expected(cell, expect)))

    async def delete(self, cell: str, expect: str) -> None:
        self._write(edits.Delete(cell, self._expected(cell, expect)))

    async def move(self, cell: str, after: str | Edge) -> None:
        self._write(edits.Move(cell, _place(after)))

    async def set_outputs(
        self, cell: str, outputs: Sequence[Mapping[str, Any]], execution_count: int | None
    ) -> None:
        self._write(edits.SetOutputs(cell, tuple(outputs), execution_count))

    async def set_metadata(self, cell: str, key: str, value: object) -> None:
        raise DocumentError("bad request", "Metadata of a cell in a file is not edited.")

    async def save(self) -> None:
        """Do nothing, since every edit is saved."""

    def _expected(self, cell: str, expect: str) -> str:
        """Returns `expect`. Raises DocumentError with the present source if that is different."""
        try:
            present = self._read().cell(cell).source
        except UsageError as error:
            raise DocumentError("no cell", error.message) from None
        if present != expect:
            raise DocumentError("conflict", "The cell's source is another by now.", present)
        return expect

    def _read(self) -> Ipynb:
        try:
            signature = self._signature()
            if self._known is None or self._known[0] != signature:
                self._known = (signature, read_ipynb(self._path))
            return self._known[1]
        except OSError as error:
            raise DocumentError("failed", f"{self._path}: {error.strerror}.") from None
        except UsageError as error:
            raise DocumentError("failed", error.message) from None

    def _signature(self) -> tuple[int, int, int]:
        state = self._path.stat()
        return state.st_mtime_ns, state.st_size, state.st_ino

    def _write(self, edit: edits.FileEdit) -> None:
        """Write an edit. The cells keep the names that the caller knows."""
        before = self._read()
        try:
            names = [cell.id for cell in before.cells]
            after, names = edits.edited_with_names(before.data, [edit], names)
            write_ipynb(self._path, before.data, after)
            self._known = (self._signature(), parse_ipynb(after, names=names))
        except UsageError as error:
            raise DocumentError("failed", error.message) from None


def _place(after: str | Edge) -> str | None:
    match after:
        case Edge.START:
            return None
        case Edge.END:
            return edits.AT_END
        case _:
            return after
