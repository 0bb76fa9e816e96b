"""Reads one turn from the session's record: its prompt, steps, verdicts and answer."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...agent.conversation.output_store import run_of
from ...agent.conversation.record import BAD_LINE, ReadLine, read_record
from ...agent.frozen import frozen
from ...agent.protocol.cells import CellRun
from ...agent.protocol.record_lines import CellRunLine, EndedLine, RecordLine, TurnLine, VerdictLine


@frozen
class PastStep:
    """A step that ran, with its handle and its verdict. `ran`: the notebook cell that it ran."""

    run: CellRun
    handle: str
    verdict: VerdictLine | None
    ran: str | None = None


@frozen
class PastTurn:
    """A turn from the record. `ended`: None if it has not ended.

    `lost`: lines in it that cannot be read.
    """

    session: str
    opening: TurnLine
    steps: tuple[PastStep, ...]
    ended: EndedLine | None
    lost: tuple[ReadLine, ...] = ()

    @property
    def answer(self) -> str:
        """The model's last answer."""
        return self.ended.answer.strip() if self.ended else ""

    def provenance(self, source: str, step: PastStep | None = None) -> dict[str, Any]:
        """The origin of a cell with this source, for its metadata. Same turn, same value."""
        usage: Mapping[str, int] = self.ended.usage if self.ended else {}
        facts: dict[str, Any] = {
            "session": self.session,
            "turn": self.opening.turn,
            "model": self.opening.model,
            "provider": self.opening.provider,
            "tokens": {"input": usage.get("input", 0), "output": usage.get("output", 0)},
            "prompt_sha256": _hash(self.opening.said),
            "source_sha256": _hash(source),
        }
        if step is not None:
            said = step.verdict or VerdictLine()
            approved = {"decision": said.decision, "by": said.by}
            facts |= {"run": step.handle, "approved": approved}
        return facts


def last_turn(path: Path, upto: int | None = None) -> PastTurn | None:
    """The last turn that has begun, of those up to that number. None if there was none.

    Raises RecordError.
    """
    opening, reads, ours = None, list[ReadLine](), True
    for read in read_record(path):
        if isinstance(read.line, TurnLine) and (ours := upto is None or read.line.turn <= upto):
            opening, reads = read.line, []
        if ours:
            reads.append(read)
    if opening is None:
        return None
    lines = [read.line for read in reads]
    verdicts = {line.call_id: line for line in lines if isinstance(line, VerdictLine)}
    ends = [line for line in lines if isinstance(line, EndedLine)]
    steps, lost = list[PastStep](), list[ReadLine]()
    for read in reads:
        try:
            steps += _steps(read.line, verdicts)
        except BAD_LINE:
            lost.append(read)
    return PastTurn(path.stem, opening, tuple(steps), ends[-1] if ends else None, tuple(lost))


def _steps(line: RecordLine | None, verdicts: Mapping[str, VerdictLine]) -> Iterator[PastStep]:
    """The step in a line, if it is one. Raises the errors of `BAD_LINE`."""
    if line is None:
        raise ValueError("a line that cannot be read")
    if isinstance(line, CellRunLine) and line.by == "agent":
        yield PastStep(run_of(line), line.handle, verdicts.get(line.call_id or ""), line.ran)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
