"""One turn as the session's record tells it: what was said, steps, verdicts, answer. Only reads."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...agent.conversation.output_store import run_of
from ...agent.conversation.record import read_record
from ...agent.protocol.cells import CellRun


@dataclass(frozen=True, slots=True)
class PastStep:
    """A step that ran: its run, its handle, the verdict on it. `ran`: the cell that it ran."""

    run: CellRun
    handle: str
    verdict: Mapping[str, Any]
    ran: str | None = None


@dataclass(frozen=True, slots=True)
class PastTurn:
    """`opening` and `ended` are the record's lines of these kinds; a turn may not have ended."""

    session: str
    opening: Mapping[str, Any]
    steps: tuple[PastStep, ...]
    ended: Mapping[str, Any]

    @property
    def answer(self) -> str:
        """What the model said last."""
        return str(self.ended.get("answer", "")).strip()

    def provenance(self, source: str, step: PastStep | None = None) -> dict[str, Any]:
        """Where a cell with this source comes from, for its metadata. Same turn, same value."""
        usage: Mapping[str, Any] = self.ended.get("usage", {})
        facts: dict[str, Any] = {
            "session": self.session,
            "turn": self.opening["turn"],
            "model": self.opening["model"],
            "provider": self.opening["provider"],
            "tokens": {"input": usage.get("input", 0), "output": usage.get("output", 0)},
            "prompt_sha256": _hash(str(self.opening["said"])),
            "source_sha256": _hash(source),
        }
        if step is not None:
            approved = {"decision": step.verdict.get("decision"), "by": step.verdict.get("by")}
            facts |= {"run": step.handle, "approved": approved}
        return facts


def last_turn(path: Path) -> PastTurn | None:
    """The last turn that has begun; None when there was none. Raises RecordError."""
    lines: list[dict[str, Any]] = []
    for line in read_record(path):
        if line["kind"] == "turn":
            lines.clear()
        lines.append(line)
    if not lines or lines[0]["kind"] != "turn":
        return None
    ends = [line for line in lines if line["kind"] == "ended"]
    return PastTurn(path.stem, lines[0], tuple(_steps(lines)), ends[-1] if ends else {})


def _steps(lines: list[dict[str, Any]]) -> Iterator[PastStep]:
    verdicts = {line["call_id"]: line for line in lines if line["kind"] == "verdict"}
    for line in lines:
        if line["kind"] == "cell_run" and line.get("by") == "agent":
            verdict = verdicts.get(line["call_id"], {})
            yield PastStep(run_of(line), line["handle"], verdict, line.get("ran"))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
