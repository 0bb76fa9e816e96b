"""The tool that brings back cell runs and turns as they were, by name or by words in them.

Knows neither SQL nor the window. It reads all texts from the record.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, Field

from ..config.settings import nearest
from ..conversation.output_store import OutputStore
from ..conversation.record import Record
from ..conversation.references import (
    HANDLE,
    HandleRange,
    HandleReference,
    TurnReference,
    parse_reference,
)
from ..conversation.runs import MAX_FIRST_LINE_CHARS, RunSummary, TurnHead, turns_named
from ..conversation.validity import Validity
from ..errors import RecordError
from ..protocol.items import Message
from ..protocol.record_lines import ItemLine, TurnLine
from ..text.cell_output import images_of
from ..text.lines import MARK_TOKENS, Lines, ends, fenced, with_gaps
from ..text.tokens import cut_middle, estimate
from ..text.truncation import OutputPart, fair_shares, fit, full_text, run_parts_of, whole
from .tool import Tool, ToolCall, ToolOutput, always, text_output

if TYPE_CHECKING:
    from ..conversation.search_index import Hit, Index, Row

DESCRIPTION = (
    "Bring back cell runs verbatim: source, outputs, other versions, also from before the "
    "conversation was shortened. Name them, or search all code, outputs, prompts and answers."
)
MAX_HITS, MAX_VERSIONS = 10, 12
"""Most lines of a search, and most other versions that are named, the latest."""

MIN_RUN_TOKENS = 400
"""Fewest tokens worth giving a run. If there are too many runs for that, the rest are counted."""

_SAY, _HEAD, _FENCE = 60, 200, 16
"""Tokens reserved for remarks, most tokens of a run's head, and tokens of fences."""

_OTHERS, _NEAR = 10, 200
"""Most unknown or hidden names in an answer, and latest runs among which to suggest a name."""


class Recall(BaseModel):
    """Cells to bring back, or words to search for, or both."""

    cells: list[str] = Field(
        default_factory=list[str],
        max_length=100,
        description="each out-7, out-11–out-20, In [12], turn 3, or a notebook cell's id",
    )
    query: str | None = Field(
        None, description="words, names, numbers or paths; the last may be incomplete"
    )


@dataclass(frozen=True, slots=True)
class _View:
    """The runs and the record, the index, and which runs still hold."""

    outputs: OutputStore
    record: Record
    searched: "Index | None"
    holds: Validity

    @property
    def index(self) -> "Index":
        if self.searched is None:
            raise RecordError("This Python has no sqlite3: only handles, such as out-7, are known.")
        return self.searched

    def hides_text(self, text: str) -> bool:
        """True if a kept text names a run that is hidden."""
        heads = map(self.outputs.runs.get, set(HANDLE.findall(text)))
        return any(head and self.holds.hides(head) for head in heads)

    def group(self, row: "Row") -> str | None:
        """The group of a row of the index, or None when it is hidden."""
        if row.kind == "run":
            head = self.outputs.runs.get(row.handle)
            return None if head is None or self.holds.hides(head) else head.key
        if row.kind == "text":
            return (
                None if self.holds.hides_turn(row.turn) or self.hides_text(row.text) else row.handle
            )
        return None if self.holds.hides_turn(row.turn) else f"turn:{row.turn}"


class _Part(NamedTuple):
    """A text between fences. `cut`: returns the text in so many tokens."""

    title: str
    text: str
    cut: Callable[[int], str]
    language: str = ""

    @property
    def cost(self) -> int:
        return estimate(self.text)

    def told(self, limit: int) -> str:
        text = self.text if self.cost <= limit else self.cut(limit)
        return f"{self.title}\n{fenced(text, self.language)}"


class _Block(NamedTuple):
    """One run, turn or text to show."""

    head: str
    parts: tuple[_Part, ...]

    @property
    def fixed(self) -> int:
        return estimate(self.head) + _FENCE * len(self.parts)

    @property
    def cost(self) -> int:
        return self.fixed + sum(part.cost for part in self.parts)

    def told(self, limit: int) -> str:
        shares = fair_shares([part.cost for part in self.parts], limit - self.fixed)
        parts = (part.told(share) for part, share in zip(self.parts, shares, strict=True))
        return "\n".join([self.head, *parts])


@dataclass(slots=True)
class _Found:
    """The blocks that names mean, in order and once each, and remarks on the other names."""

    blocks: dict[str, Callable[[], _Block]] = field(default_factory=dict[str, Callable[[], _Block]])
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
            view = _View(outputs, record, index, holds())
            return await asyncio.to_thread(_answer, view, asked, limit)
        except RecordError as error:
            return text_output(str(error), "error")

    return Tool("recall", DESCRIPTION, Recall, run, always("look"))


def _index(record: Record) -> "Index | None":
    try:
        from ..conversation.search_index import Index
    except ImportError:  # some Pythons are built without sqlite3
        return None
    return Index(record.path)


def _answer(view: _View, asked: Recall, limit: int) -> ToolOutput:
    cells = [words.strip()[:MAX_FIRST_LINE_CHARS] for words in asked.cells if words.strip()]
    query = (asked.query or "").strip()
    if not cells and not query:
        return text_output("Give cells, such as out-7, or a query, or both.", "error")
    parts, found = list[str](), _named(view, cells)
    if query:
        hits = view.index.search(query, view.group, MAX_HITS + 1)
        parts += _hits_told(view, hits, limit // 2 if cells else limit)
        limit -= sum(map(estimate, parts))
        if len(hits) == 1 and not cells:
            parts += _whole(view, hits[0].row, limit)
    said = found.said[:_OTHERS]
    if left := len(found.said) - len(said):
        said.append(f"[{left:,} more names are not there, or hidden]")
    parts += said
    limit -= sum(map(estimate, said))
    parts += _blocks_told(found.blocks, limit)
    return text_output("\n\n".join(parts), "ok" if found.blocks or query else "error")


def _named(view: _View, cells: Sequence[str]) -> _Found:
    found = _Found()
    kept = all(isinstance(parse_reference(it), HandleReference | HandleRange) for it in cells)
    turns = [] if kept else view.index.turns()
    for words in cells:
        _name(view, words, turns, found)
    return found


def _name(view: _View, words: str, turns: Sequence[TurnHead], found: _Found) -> None:
    """Add the blocks that one name means, or a remark on it."""
    runs, reference = view.outputs.runs, parse_reference(words)
    heads, spoken = runs.named(reference), turns_named(reference, turns)
    heads = heads or tuple(it for turn in spoken for it in runs.named(TurnReference(turn.turn)))
    if not heads and not spoken and words in view.outputs.handles:
        _add_text(view, words, found)
    elif not heads and not spoken:
        found.said.append(_unknown(view, words))
    shown = {f"turn {it.turn}": it for it in spoken if not view.holds.hides_turn(it.turn)}
    seen = {head.handle: head for head in heads if not view.holds.hides(head)}
    for key, turn in shown.items():
        found.blocks[key] = partial(_turn_block, view, turn)
    for key, head in seen.items():
        found.blocks[key] = partial(_run_block, view, head)
    if hidden := len(heads) + len(spoken) - len(seen) - len(shown):
        some = f"{hidden:,} of these " if seen or shown else ""
        found.said.append(f"{words}: {some}hidden from you by the person.")


def _add_text(view: _View, handle: str, found: _Found) -> None:
    turn, text = view.outputs.line(handle).turn or 0, view.outputs.lines(handle).text
    if view.holds.hides_turn(turn) or view.hides_text(text):
        found.said.append(f"{handle}: hidden from you by the person.")
    else:
        found.blocks[handle] = partial(_text_block, handle, text)


def _unknown(view: _View, words: str) -> str:
    heads = [head for head in view.outputs.runs.heads if not view.holds.hides(head)]
    if not heads:
        return f"There is no {words!r}: no cell was run yet."
    names = [name for it in heads[-_NEAR:] for name in (it.handle, it.label, it.cell) if name]
    there = f"There are runs from {heads[0].handle} to {heads[-1].handle}."
    return f"There is no {words!r}. {there}{nearest(words, names)} A query finds any by its words."


def _run_block(view: _View, head: RunSummary) -> _Block:
    run = view.outputs.run(head.handle)
    pieces, text = run_parts_of(run), full_text(run)
    start = len(text) - len(run.source)
    lead = cut_middle("\n".join(_run_head(view, head, len(images_of(run.outputs)))), _HEAD)
    source = partial(_source_cut, text, start, head.handle)
    parts = (
        _Part("source:", run.source, source, "python"),
        _Part("outputs:", whole(pieces), partial(fit, pieces, handle=head.handle)),
    )
    return _Block(lead, parts)


def _run_head(view: _View, head: RunSummary, figures: int) -> Iterator[str]:
    """The lines above a run: whether it is old, and then its label and facts."""
    if later := view.holds.after(head.handle):
        yield f"{head.handle} is superseded by {later}: what follows is old"
    if head.handle in view.holds.stale:
        yield f"{head.handle} is stale: it read something that changed since"
    if view.holds.is_gone(head):
        yield f"{head.handle} ran in a kernel that is gone: so may be what it bound"
    whose = "yours" if head.by == "agent" else "the person's"
    facts = (
        f"## {head.handle} · {head.label} · {whose} · {head.status} {head.error}".rstrip(),
        f"told in turn {head.turn}" if head.by == "person" else "",
        f"cell {head.cell}" if head.cell else "",
        f"bound {', '.join(head.bound)}" if head.bound else "",
        f"{figures} figure(s), named here and not sent" if figures else "",
    )
    yield " ".join(" · ".join(filter(None, facts)).split())  # one line, whatever is in them
    runs = view.outputs.runs
    others = [
        handle
        for handle in runs.versions(head.handle)
        if handle != head.handle and (it := runs.get(handle)) and not view.holds.hides(it)
    ]
    if others:
        before = f"{len(others) - MAX_VERSIONS:,} before, " if len(others) > MAX_VERSIONS else ""
        yield f"other versions: {before}{', '.join(others[-MAX_VERSIONS:])}"


def _source_cut(text: str, start: int, handle: str, limit: int) -> str:
    """The source, cut. Its marks number lines as in the run's full form, which `output` reads."""
    spans = ends(text, start, len(text), limit - MARK_TOKENS)
    return with_gaps(Lines(text), [(0, start), *spans], handle)[start:]


def _turn_block(view: _View, turn: TurnHead) -> _Block:
    rows = view.index.spoken(turn.turn)
    heads = view.outputs.runs.named(TurnReference(turn.turn))
    ran = [head.handle for head in heads if not view.holds.hides(head)]
    count = f", In [{turn.count}]" if turn.count is not None else ""
    lead = f"## turn {turn.turn}{count}" + (
        f" · ran {', '.join(ran[:MAX_VERSIONS])}" if ran else ""
    )
    if any(row.gone for row in rows):
        lead = f"turn {turn.turn} was taken back: what follows was before that\n{lead}"
    return _Block(lead, tuple(_spoken(view, row) for row in rows))


def _spoken(view: _View, row: "Row") -> _Part:
    line = view.record.line_at(row.at)
    title, text = "you answered:", ""
    if isinstance(line, TurnLine):
        title, text = "the person said:", line.said
    elif isinstance(line, ItemLine):
        item = line.item()
        text = item.text if isinstance(item, Message) else ""

    def cut(limit: int) -> str:
        return cut_middle(text, max(limit - MARK_TOKENS, 1))

    return _Part(title, text, cut)


def _text_block(handle: str, text: str) -> _Block:
    cut = partial(fit, [OutputPart(text)], handle=handle)
    return _Block(f"## {handle} · a text that was kept", (_Part("text:", text, cut),))


def _whole(view: _View, row: "Row", limit: int) -> list[str]:
    """The block of the only hit, if it fits."""
    head = view.outputs.runs.get(row.handle)
    if head:
        block = _run_block(view, head)
    elif row.kind == "text":
        block = _text_block(row.handle, view.outputs.lines(row.handle).text)
    else:
        block = _turn_block(view, TurnHead(row.turn, "", row.cell, row.counter))
    return [block.told(limit)] if block.cost <= limit else []


def _blocks_told(made: Mapping[str, Callable[[], _Block]], limit: int) -> list[str]:
    """As many blocks as there are tokens for, in fair shares."""
    most = max(1, limit // MIN_RUN_TOKENS)
    blocks = [make() for make in list(made.values())[:most]]
    shares = fair_shares([block.cost for block in blocks], limit)
    said = [block.told(share) for block, share in zip(blocks, shares, strict=True)]
    if rest := list(made)[most:]:
        said.append(f"[{len(rest):,} more did not fit, from {rest[0]} to {rest[-1]}: ask anew]")
    return said


def _hits_told(view: _View, hits: Sequence["Hit"], limit: int) -> list[str]:
    if not hits:
        return ["Nothing was found. Cells that the person hides are not searched."]
    lines = [_hit_line(view, hit) for hit in hits[:MAX_HITS]]
    while len(lines) > 1 and sum(map(estimate, lines)) > limit:
        lines.pop()
    more = " There are more: add words." if len(hits) > len(lines) else ""
    return [f"Found, the best first.{more}\n{fenced(chr(10).join(lines))}"]


def _hit_line(view: _View, hit: "Hit") -> str:
    row, head = hit.row, view.outputs.runs.get(hit.row.handle)
    if head:
        what = f"{head.handle}, {head.label}, {head.status} {head.error}".rstrip()
        later = view.holds.after(head.handle)
        what += f"; superseded by {later}" if later else ""
        what += "; stale" if head.handle in view.holds.stale else ""
        what += f"; also in {', '.join(hit.also[:MAX_VERSIONS])}" if hit.also else ""
    elif row.kind == "text":
        what = f"{row.handle}, a text that was kept in turn {row.turn}"
    else:
        what = f"turn {row.turn}, {'said by the person' if row.kind == 'said' else 'answered'}"
    return " ".join(f"- {what}{'; taken back' if row.gone else ''}: {hit.snippet}".split())
