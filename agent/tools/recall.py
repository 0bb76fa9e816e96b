"""The tool that brings back cell runs and turns as they were, by name or by words in them.

Knows neither SQL nor the window. It reads all texts from the record.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from ..config.settings import nearest
from ..conversation.output_store import OutputStore
from ..conversation.record import Record
from ..conversation.references import (
    CellIdStart,
    HandleRange,
    HandleReference,
    TurnReference,
    parse_reference,
)
from ..conversation.runs import MAX_FIRST_LINE_CHARS, RunSummary, TurnHead, turns_named
from ..conversation.validity import Validity
from ..errors import RecordError
from ..text.lines import fenced
from ..text.tokens import estimate
from ..text.truncation import fair_shares
from .extracts import (
    MAX_VERSIONS,
    Archive,
    Extract,
    run_extract,
    run_told,
    text_extract,
    turn_extract,
)
from .schema import FieldsOf
from .tool import Tool, ToolCall, ToolOutput, always, text_output

if TYPE_CHECKING:
    from ..search.index import Index
    from ..search.ranking import Hit

DESCRIPTION = (
    "Bring back cell runs verbatim: source, outputs, other versions, also from before the "
    "conversation was shortened. Name them, or search all code, outputs, prompts and answers."
)
MAX_HITS = 10
"""Most hits of a search."""

BRIEF_TOKENS, BEST_TOKENS = 640, 280
"""Most tokens of a search's answer, and of a range's lines. Tokens kept for the best hit."""

HIT_CHARS = 120
"""Most characters of the text that the line of a hit shows."""

MIN_RUN_TOKENS = 400
"""Fewest tokens worth giving a run. If there are too many runs for that, the rest are counted."""

_SAY, _OTHERS, _NEAR = 60, 10, 200
"""Tokens reserved for remarks. Most unknown or hidden names in an answer, and latest runs among
which to suggest a name."""


class Recall(BaseModel):
    """Cells to bring back, or words to search for, or both."""

    cells: list[str] = Field(
        default_factory=list[str],
        max_length=100,
        description="each out-7, In [12], a cell's id, or turn 3, out-11–out-20: a line for each "
        "run",
    )
    query: str | None = Field(
        None, description="a question, or words, names, paths; `a phrase` in backquotes"
    )
    whole: bool = Field(False, description="runs of a turn or range whole")


@dataclass(slots=True)
class _Found:
    """The blocks and lines that names mean, in order and once each, and remarks on other names."""

    blocks: dict[str, Callable[[], Extract]] = field(
        default_factory=dict[str, Callable[[], Extract]]
    )
    lines: dict[str, str] = field(default_factory=dict[str, str])
    said: list[str] = field(default_factory=list[str])


def recall_tool(
    outputs: OutputStore,
    record: Record,
    output_tokens: int,
    holds: Callable[[], Validity],
) -> Tool[Recall]:
    """The tool `recall` over a session's record. `output_tokens`: most tokens of one answer.

    `holds`: which runs still hold, and which the person hides. Hidden runs are never shown.
    """
    limit = max(output_tokens - _SAY, MIN_RUN_TOKENS)
    index = _index(record)

    async def run(_call: ToolCall, asked: Recall) -> ToolOutput:
        try:
            archive = Archive(outputs, record, index, holds())
            return await asyncio.to_thread(_answer, archive, asked, limit)
        except RecordError as error:
            return text_output(str(error), "error")

    return Tool("recall", DESCRIPTION, FieldsOf(Recall), run, always("look"))


def _index(record: Record) -> "Index | None":
    try:
        from ..search.index import Index
    except ImportError:  # some Pythons are built without sqlite3
        return None
    return Index(record.path)


def _answer(archive: Archive, asked: Recall, limit: int) -> ToolOutput:
    cells = [words.strip()[:MAX_FIRST_LINE_CHARS] for words in asked.cells if words.strip()]
    query = (asked.query or "").strip()
    if not cells and not query:
        return text_output("Give cells, such as out-7, or a query, or both.", "error")
    parts, found = list[str](), _named(archive, cells, asked.whole)
    if query:
        hits = archive.index.search(query, archive.group, MAX_HITS + 1)
        parts += _hits_told(archive, hits, min(limit, BRIEF_TOKENS), bool(cells))
    said = found.said[:_OTHERS]
    if left := len(found.said) - len(said):
        said.append(f"[{left:,} more names are not there, or hidden]")
    lines = _lines_told(found.lines, min(limit, BRIEF_TOKENS))
    limit -= sum(map(estimate, (*parts, *said, *lines)))
    parts += [*said, *_blocks_told(found.blocks, limit), *lines]
    there = found.blocks or found.lines or query
    return text_output("\n\n".join(parts), "ok" if there else "error")


def _named(archive: Archive, cells: Sequence[str], whole_runs: bool) -> _Found:
    found = _Found()
    kept = all(isinstance(parse_reference(it), HandleReference | HandleRange) for it in cells)
    turns = [] if kept else archive.index.turns()
    for words in cells:
        _name(archive, words, turns, found, whole_runs)
    found.lines = {key: line for key, line in found.lines.items() if key not in found.blocks}
    return found


def _name(
    archive: Archive, words: str, turns: Sequence[TurnHead], found: _Found, whole_runs: bool
) -> None:
    """Add the blocks or lines that one name means, or a remark on it."""
    runs, reference = archive.outputs.runs, parse_reference(words)
    heads, spoken = runs.named(reference), turns_named(reference, turns)
    heads = heads or tuple(it for turn in spoken for it in runs.named(TurnReference(turn.turn)))
    if not heads and not spoken and words in archive.outputs.handles:
        _add_text(archive, words, found)
    elif not heads and not spoken:
        found.said.append(_unknown(archive, words))
    shown = {f"turn {it.turn}": it for it in spoken if not archive.holds.hides_turn(it.turn)}
    seen = {head.handle: head for head in heads if not archive.holds.hides(head)}
    if hidden := len(heads) + len(spoken) - len(seen) - len(shown):
        some = f"{hidden:,} of these " if seen or shown else ""
        found.said.append(f"{words}: {some}hidden from you by the person.")
    if isinstance(reference, CellIdStart):
        seen, shown = _newest(seen, shown)
    for key, turn in shown.items():
        found.blocks[key] = partial(turn_extract, archive, turn)
    briefly = not whole_runs and (shown or isinstance(reference, HandleRange | TurnReference))
    for key, head in seen.items():
        if briefly:
            found.lines.setdefault(key, f"- {run_told(archive, head)}: {head.line}")
        else:
            found.blocks[key] = partial(run_extract, archive, head)


def _newest(
    seen: Mapping[str, RunSummary], shown: Mapping[str, TurnHead]
) -> tuple[dict[str, RunSummary], dict[str, TurnHead]]:
    """The newest run of each cell, and the newest turn with its runs. They name the older ones."""
    turns = dict(list(shown.items())[-1:])
    last = {it.turn for it in turns.values()}
    kept = {head.key: head for head in seen.values() if head.by == "person" or head.turn in last}
    return {head.handle: head for head in kept.values()}, turns


def _add_text(archive: Archive, handle: str, found: _Found) -> None:
    turn, text = archive.outputs.line(handle).turn or 0, archive.outputs.lines(handle).text
    if archive.holds.hides_turn(turn) or archive.hides_text(text):
        found.said.append(f"{handle}: hidden from you by the person.")
    else:
        found.blocks[handle] = partial(text_extract, handle, text)


def _unknown(archive: Archive, words: str) -> str:
    heads = [head for head in archive.outputs.runs.heads if not archive.holds.hides(head)]
    if not heads:
        return f"There is no {words!r}: no cell was run yet."
    names = [name for it in heads[-_NEAR:] for name in (it.handle, it.label, it.cell) if name]
    there = f"There are runs from {heads[0].handle} to {heads[-1].handle}."
    return f"There is no {words!r}. {there}{nearest(words, names)} A query finds any by its words."


def _best_extract(archive: Archive, hit: "Hit") -> Extract:
    """The block of a hit. Where it is cut, the part that matches is kept."""
    row = hit.row
    if head := archive.outputs.runs.get(row.handle):
        return run_extract(archive, head, hit.passage)
    if row.kind == "text":
        return text_extract(row.handle, archive.outputs.lines(row.handle).text, hit.passage)
    return turn_extract(archive, TurnHead(row.turn, "", row.cell, row.counter), hit.passage)


def _blocks_told(made: Mapping[str, Callable[[], Extract]], limit: int) -> list[str]:
    """As many blocks as there are tokens for, in fair shares."""
    most = max(1, limit // MIN_RUN_TOKENS)
    blocks = [make() for make in list(made.values())[:most]]
    shares = fair_shares([block.cost for block in blocks], limit)
    said = [block.told(share) for block, share in zip(blocks, shares, strict=True)]
    if rest := list(made)[most:]:
        said.append(f"[{len(rest):,} more did not fit, from {rest[0]} to {rest[-1]}: ask anew]")
    return said


def _lines_told(lines: Mapping[str, str], limit: int) -> list[str]:
    """A line for each run, as many as there are tokens for."""
    if not lines:
        return []
    told, names = list(lines.values()), list(lines)
    left = 0
    while len(told) > 1 and sum(map(estimate, told)) > limit:
        told.pop()
        left += 1
    more = f"\n[{left:,} more did not fit, from {names[-left]} to {names[-1]}: ask anew]"
    return [fenced("\n".join(told)) + (more if left else "")]


def _hits_told(archive: Archive, hits: Sequence["Hit"], limit: int, briefly: bool) -> list[str]:
    """The best hit whole, or cut around the match, and a line for each other.

    `briefly`: runs were named, too, so that the best has a line. So it has where it is weak.
    """
    if not hits:
        return ["Nothing was found. Cells that the person hides are not searched."]
    best = hits[: 0 if briefly or hits[0].weak else 1]
    blocks = [_best_extract(archive, hit) for hit in best]
    lines = [_hit_line(archive, hit) for hit in hits[len(best) : MAX_HITS]]
    room = limit - sum(min(block.cost, BEST_TOKENS) for block in blocks)
    while len(lines) > 1 and sum(map(estimate, lines)) > room:
        lines.pop()
    head = "Only weak matches." if hits[0].weak else "Found, the best first."
    head += " There are more: add words." if len(hits) > len(lines) + len(best) else ""
    limit -= sum(map(estimate, lines))
    parts = [head, *(block.told(limit) for block in blocks)]
    return [*parts, fenced("\n".join(lines))] if lines else parts


def _hit_line(archive: Archive, hit: "Hit") -> str:
    row, head = hit.row, archive.outputs.runs.get(hit.row.handle)
    if head:
        what = run_told(archive, head)
        what += f"; also in {', '.join(hit.also[:MAX_VERSIONS])}" if hit.also else ""
    elif row.kind == "text":
        what = f"{row.handle}, a text that was kept in turn {row.turn}"
    else:
        what = f"turn {row.turn}, {'said by the person' if row.kind == 'said' else 'answered'}"
    what += "; taken back" if row.gone else ""
    what += "; weak" if hit.weak else ""
    shown = " ".join(hit.passage.split())
    shown = shown if len(shown) <= HIT_CHARS else f"{shown[:HIT_CHARS]}…"
    return " ".join(f"- {what}: {shown}".split())
