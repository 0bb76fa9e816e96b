"""A run, a turn or a kept text as `recall` gives it, whole or cut to a number of tokens.

Knows neither which of them is asked for nor how they were found.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ..conversation.output_store import OutputStore
from ..conversation.record import Record
from ..conversation.references import HANDLE, TurnReference
from ..conversation.runs import RunSummary, TurnHead, first_names
from ..conversation.validity import Validity
from ..errors import RecordError
from ..frozen import frozen
from ..protocol.items import Message
from ..protocol.record_lines import ItemLine, TurnLine
from ..text.cell_output import images_of
from ..text.lines import MARK_TOKENS, Lines, around, ends, fenced, with_gaps
from ..text.tokens import cut_middle, estimate
from ..text.truncation import OutputPart, fair_shares, fit, full_text, run_parts_of, whole

if TYPE_CHECKING:
    from ..search.index import Index
    from ..search.ranking import Row

MAX_VERSIONS = 12
"""Most other versions that are named, the latest."""

_HEAD, _FENCE = 200, 16
"""Most tokens of a run's head, and tokens of fences."""


@frozen
class Archive:
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


class Extract(NamedTuple):
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


def run_extract(archive: Archive, head: RunSummary, sought: str = "") -> Extract:
    """A run. Where it is cut, the part that was `sought` is kept."""
    run = archive.outputs.run(head.handle)
    pieces, text = run_parts_of(run), full_text(run)
    start = len(text) - len(run.source)
    lead = cut_middle("\n".join(_run_head(archive, head, len(images_of(run.outputs)))), _HEAD)
    source = partial(_source_cut, text, start, head.handle, sought)
    parts = (
        _Part("source:", run.source, source, "python"),
        _Part("outputs:", whole(pieces), partial(_fit, pieces, head.handle, sought)),
    )
    return Extract(lead, parts)


def _run_head(archive: Archive, head: RunSummary, figures: int) -> Iterator[str]:
    """The lines above a run: whether it is old, and then its label and facts."""
    if later := archive.holds.after(head.handle):
        yield f"{head.handle} is superseded by {later}: what follows is old"
    if head.handle in archive.holds.stale:
        yield f"{head.handle} is stale: it read something that changed since"
    if archive.holds.is_gone(head):
        yield f"{head.handle} ran in a kernel that is gone: so may be what it bound"
    whose = "yours" if head.by == "agent" else "the person's"
    facts = (
        f"## {head.handle} · {head.label} · {whose} · {head.status} {head.error}".rstrip(),
        f"told in turn {head.turn}" if head.by == "person" else "",
        f"cell {head.cell}" if head.cell else "",
        f"bound {first_names(head.bound)}" if head.bound else "",
        f"{figures} figure(s), named here and not sent" if figures else "",
    )
    yield " ".join(" · ".join(filter(None, facts)).split())  # one line, whatever is in them
    runs = archive.outputs.runs
    others = [
        handle
        for handle in runs.versions(head.handle)
        if handle != head.handle and (it := runs.get(handle)) and not archive.holds.hides(it)
    ]
    if others:
        before = f"{len(others) - MAX_VERSIONS:,} before, " if len(others) > MAX_VERSIONS else ""
        yield f"other versions: {before}{', '.join(others[-MAX_VERSIONS:])}"


def _fit(pieces: Sequence[OutputPart], handle: str, sought: str, limit: int) -> str:
    """The parts, cut around what was sought, if they have it."""
    text = whole(pieces)
    if (at := _place(text, sought)) is None:
        return fit(pieces, limit, handle)
    return with_gaps(Lines(text), around(text, 0, len(text), at, limit - 2 * MARK_TOKENS), handle)


def _place(text: str, sought: str) -> int | None:
    """Where the part that was sought begins, or its longest line. It may begin before this text."""
    for part in (sought, *sorted(sought.splitlines(), key=len, reverse=True)[:1]):
        if part.strip() and (at := text.find(part)) >= 0:
            return at
    return None


def _source_cut(text: str, start: int, handle: str, sought: str, limit: int) -> str:
    """The source, cut. Its marks number lines as in the run's full form, which `output` reads."""
    at = _place(text[start:], sought)
    if at is None:
        spans = ends(text, start, len(text), limit - MARK_TOKENS)
    else:
        spans = around(text, start, len(text), start + at, limit - 2 * MARK_TOKENS)
    return with_gaps(Lines(text), [(0, start), *spans], handle)[start:]


def turn_extract(archive: Archive, turn: TurnHead, sought: str = "") -> Extract:
    """A turn's prompt and answers. Where one is cut, the part that was `sought` is kept."""
    rows = archive.index.spoken(turn.turn)
    heads = archive.outputs.runs.named(TurnReference(turn.turn))
    ran = [head.handle for head in heads if not archive.holds.hides(head)]
    count = f", In [{turn.count}]" if turn.count is not None else ""
    lead = f"## turn {turn.turn}{count}" + (
        f" · ran {', '.join(ran[:MAX_VERSIONS])}" if ran else ""
    )
    if any(row.gone for row in rows):
        lead = f"turn {turn.turn} was taken back: what follows was before that\n{lead}"
    return Extract(lead, tuple(_spoken(archive, row, sought) for row in rows))


def _spoken(archive: Archive, row: "Row", sought: str) -> _Part:
    line = archive.record.line_at(row.at)
    title, text = "you answered:", ""
    if isinstance(line, TurnLine):
        title, text = "the person said:", line.said
    elif isinstance(line, ItemLine):
        item = line.item()
        text = item.text if isinstance(item, Message) else ""

    def cut(limit: int) -> str:
        limit = max(limit - MARK_TOKENS, 2)
        if (at := _place(text, sought)) is None:
            return cut_middle(text, limit)
        ((begin, stop),) = around(text, 0, len(text), at, limit)
        return f"{'…' * (begin > 0)}{text[begin:stop]}{'…' * (stop < len(text))}"

    return _Part(title, text, cut)


def text_extract(handle: str, text: str, sought: str = "") -> Extract:
    """A text that was kept. Where it is cut, the part that was `sought` is kept."""
    cut = partial(_fit, [OutputPart(text)], handle, sought)
    return Extract(f"## {handle} · a text that was kept", (_Part("text:", text, cut),))


def run_told(archive: Archive, head: RunSummary) -> str:
    """A run's names, its outcome, and whether it is old."""
    told = f"{head.handle}, {head.label}, {head.status} {head.error}".rstrip()
    later = archive.holds.after(head.handle)
    told += f"; superseded by {later}" if later else ""
    return told + ("; stale" if head.handle in archive.holds.stale else "")
