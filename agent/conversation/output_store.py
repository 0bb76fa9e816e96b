"""The output store: runs and texts in full, by handle. They are in the record, not in memory.

Knows no tool. Handles are `out-1`, `out-2` … in the order of keeping, the same after a resume.
"""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple, cast

from pydantic import TypeAdapter

from ..errors import RecordError
from ..protocol.cells import CellRun, DisplayOutput, Output
from ..protocol.observed import UserCellRun
from ..protocol.record_lines import CellRunLine, OutputLine, SupersededLine
from ..text.lines import Lines
from ..text.tokens import estimate
from ..text.truncation import full_text
from .record import Record
from .runs import RunLog, RunSummary, head_of, run_key

_RUNS = TypeAdapter(CellRun)


class KeptRun(NamedTuple):
    """A run of the person's that is kept. `supersedes`: the handle of the run before it."""

    handle: str
    run: UserCellRun
    supersedes: str | None


class OutputStore:
    """The positions in the record of each handle's text, and the log of runs."""

    def __init__(
        self,
        record: Record,
        places: Mapping[str, int] | None = None,
        runs: RunLog | None = None,
        lost: int = 0,
    ) -> None:
        """`places`: the byte at which the line of each handle begins, in a resumed record.

        `runs`: the runs in that record. `lost`: how many lines of it cannot be read. Each may have
        had a handle, which is not given again.
        """
        self.runs = RunLog() if runs is None else runs
        self._record = record
        self._places = record.places
        self._places.update(places or {})
        numbers = (int(it.partition("-")[2]) for it in self._places)
        self._last = max(numbers, default=0) + lost
        self._turn, self._cell, self._kernel = 0, cast("str | None", None), ""

    @property
    def handles(self) -> tuple[str, ...]:
        """All handles, in order."""
        return tuple(self._places)

    def begin(self, turn: int, cell: str | None, kernel: str = "") -> None:
        """Begin a turn. Runs and texts from now on belong to it, its cell and its kernel."""
        self._turn, self._cell, self._kernel = turn, cell, kernel

    def keep(self, text: str, turn: int | None = None) -> str:
        """Keep a text of the present turn or another. Returns its handle. Raises RecordError."""
        handle = self._next()
        of_turn = self._turn if turn is None else turn
        line = OutputLine(turn=of_turn, handle=handle, text=text)
        self._record.append(line)
        return handle

    def keep_run(self, call_id: str, run: CellRun, ran: str | None = None) -> str:
        """Record a run of the agent's with full outputs. Returns its handle. Raises RecordError.

        `ran`: the id of the notebook's cell that it ran. It supersedes earlier runs of that.
        """
        where = {"turn": self._turn, "cell": self._cell, "kernel": self._kernel or None}
        return self._keep(run, by="agent", **where, call_id=call_id, ran=ran or None).handle

    def keep_seen(self, run: UserCellRun, kernel: str = "", turn: int | None = None) -> KeptRun:
        """Record a run of the person's once, with the outputs that the host has.

        `turn`: the one that will tell of it, if that is not the present one. Raises RecordError.
        """
        if kept := self.runs.numbered(kernel, run.number):
            return KeptRun(kept, run, self.runs.supersedes(kept))
        ran = CellRun(
            source=run.source,
            status=run.status,
            outputs=run.outputs,
            bound=run.bound,
            deleted=run.deleted,
            seconds=run.seconds,
            count=run.count,
        )
        of_turn = self._turn if turn is None else turn
        where = {"turn": of_turn, "cell": run.cell, "number": run.number, "kernel": kernel}
        read = {"changed": run.changed, "reads": run.reads}
        head = self._keep(ran, by="person", **where, **read)
        return KeptRun(head.handle, run, self.runs.supersedes(head.handle))

    def supersede(self, run: UserCellRun, kernel: str) -> str | None:
        """Let a hidden run supersede the latest of its cell. Returns that. Raises RecordError.

        After a rewind it may come again, and then supersedes neither itself nor a later one.
        """
        earlier = self.runs.latest(run_key(run.source, run.cell))
        if earlier is None or self.runs.superseded_by(earlier):
            return None
        head = self.runs.get(earlier)
        if head and head.kernel == kernel and (head.number or 0) >= run.number:
            return None
        self._record.append(SupersededLine(handle=earlier))
        self.runs.end(earlier)
        return earlier

    def lines(self, handle: str) -> Lines:
        """The full form. Raises KeyError for an unknown handle, and RecordError."""
        line = self.line(handle)
        return Lines(line.text if isinstance(line, OutputLine) else full_text(run_of(line)))

    def run(self, handle: str) -> CellRun:
        """The run with that handle. Raises KeyError, RecordError."""
        line = self.line(handle)
        return run_of(cast("CellRunLine", line))

    def line(self, handle: str) -> CellRunLine | OutputLine:
        """The record's line. Raises KeyError for an unknown handle, and RecordError."""
        line = self._record.line_at(self._places[handle])
        if isinstance(line, CellRunLine | OutputLine) and line.handle == handle:
            return line
        raise RecordError(f"{self._record.path} was changed: it no longer has {handle}.")

    def _keep(self, run: CellRun, **where: Any) -> RunSummary:
        line = CellRunLine(
            handle=self._next(), tokens=estimate(full_text(run)), run=_values(run), **where
        )
        self._record.append(line)
        head = head_of(line)
        self.runs.add(head)
        return head

    def _next(self) -> str:
        self._last += 1
        return f"out-{self._last}"


def _values(run: CellRun) -> dict[str, Any]:
    try:
        return _RUNS.dump_python(run, mode="json", fallback=str)
    except ValueError:  # pydantic goes some 250 levels deep
        flat = tuple(map(_flat, run.outputs))
        return _RUNS.dump_python(replace(run, outputs=flat), mode="json", fallback=str)


def _flat(output: Output) -> Output:
    """A display with nested values as texts."""
    if not isinstance(output, DisplayOutput):
        return output
    data = {kind: _text(value) for kind, value in output.data.items()}
    return replace(output, data=data, metadata={})


def _text(value: object) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value, default=str)
    except (TypeError, ValueError, RecursionError):
        return "(nested too deeply)"


def run_of(line: CellRunLine) -> CellRun:
    """The run in a line."""
    names = (each.name for each in fields(CellRun))
    return _RUNS.validate_python({name: line.run[name] for name in names if name in line.run})
