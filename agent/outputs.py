"""The full form of what tools put out, under handles. Its texts are in the record, not in memory.

Knows no tool. `out-1`, `out-2` … in the order they were kept: the same after a resume.
"""

from collections.abc import Mapping

from .cells import CellRun
from .errors import RecordError
from .lines import Lines
from .pieces import Piece, fit, run_pieces, whole
from .record import Record
from .tokens import estimate


class Outputs:
    """Where in the record the text of each handle is."""

    def __init__(self, record: Record, places: Mapping[str, int] | None = None) -> None:
        """`places`: the byte at which the line of each handle begins, in a resumed record."""
        self._record = record
        self._places = dict(places or {})

    @property
    def handles(self) -> tuple[str, ...]:
        """All handles, in order."""
        return tuple(self._places)

    def keep(self, text: str) -> str:
        """Keep a text; its handle. Raises RecordError."""
        handle = self._next()
        self._places[handle] = self._record.append("output", {"handle": handle, "text": text})
        return handle

    def keep_run(self, call_id: str, run: CellRun) -> str:
        """Record a cell run, outputs in full; the handle of its full form. Raises RecordError."""
        handle = self._next()
        values = run.model_dump(mode="json", fallback=str)
        values = {"call_id": call_id, "handle": handle, **values}
        self._places[handle] = self._record.append("cell_run", values)
        return handle

    def fit(self, text: str, limit: int) -> str:
        """`text` in at most about `limit` tokens; what is cut is kept, and says its handle."""
        if estimate(text) <= limit:
            return text
        return fit([Piece(text)], limit, self.keep(text))

    def lines(self, handle: str) -> Lines:
        """The full form. Raises KeyError for a handle that is not there, RecordError."""
        line = self._record.line_at(self._places[handle])
        if line.get("handle") != handle:
            raise RecordError(f"{self._record.path} was changed: it no longer has {handle}.")
        if line["kind"] == "output":
            return Lines(line["text"])
        run = {name: line[name] for name in CellRun.model_fields if name in line}
        return Lines(whole(run_pieces(CellRun.model_validate(run))))

    def _next(self) -> str:
        return f"out-{len(self._places) + 1}"
