"""From a window to a shorter one, in one rewrite, by cells. Pure: others keep what is left out.

First superseded runs go, then the bulk of old outputs, then old images, until the window fits.
Then the oldest cells and turns become entries of the digest. Asks no model and knows no record.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace

from ..context.changes import environment_item
from ..conversation.digest import (
    CELLS_SHARE,
    NAMES_SHARE,
    NOTED_SHARE,
    SAID_SHARE,
    Digest,
    Parts,
    SaidTurn,
    make_digest,
    share,
)
from ..conversation.history import Entry
from ..conversation.notes import Notes
from ..conversation.runs import RunLog, RunSummary, TurnHead
from ..conversation.validity import Validity
from ..frozen import frozen
from ..protocol.items import Message, message, text_part
from ..text.tokens import cut_middle, estimate
from .budget import Room
from .run_index import index_lines
from .units import (
    KeepText,
    Smaller,
    Unit,
    replaced_by,
    tokens_of,
    units_of,
    without_bulk,
    without_images,
)
from .words import Fitting, Saying, fitting

MAX_ANSWER_TOKENS = 80
"""Most tokens of an answer in the digest."""

LAST_UNIT_TOKENS = 600
"""About how many tokens the last step has when its outputs are cut."""

RECENT_SHARE = 0.5
"""Part of the budget for the latest units. Their outputs and images are the last to be cut."""


@frozen
class CompactionInput:
    """The input of a compaction, beside the window.

    `turn`: the present one. `facts`: of the environment, as the model knows them. `names`: a line
    for each live variable, the latest last. `gone`: lines on kernels that are gone.
    """

    validity: Validity
    turn: int
    turns: Sequence[TurnHead] = ()
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    names: Sequence[str] = ()
    gone: Sequence[str] = ()
    notes: Notes | None = None
    digest: Digest | None = None

    @property
    def runs(self) -> RunLog:
        """All runs of the session."""
        return self.validity.runs

    def topics(self) -> dict[int, str]:
        """The first line of each turn's prompt, but for the turns that are hidden."""
        hides = self.validity.hides_turn
        return {it.turn: it.line for it in self.turns if not hides(it.turn)}

    def safe_turns(self) -> frozenset[int]:
        """The first turn and the pinned ones, whose words are never only a line."""
        first = {self.turns[0].turn} if self.turns else set[int]()
        pinned = self.validity.marks.pinned
        return frozenset(first | {it.turn for it in self.turns if f"turn:{it.turn}" in pinned})

    def besides(self, head: RunSummary) -> str | None:
        """An addition to the line of a run in the index, or None if the run is hidden."""
        if self.validity.hides(head):
            return None
        mark = self.validity.mark(head.handle)
        return f";{mark}" if mark else ""


@frozen
class Dropped:
    """Counts of units that were left out or cut. `runs` and `turns` are only in the digest now."""

    superseded: int = 0
    cut: int = 0
    images: int = 0
    runs: int = 0
    turns: int = 0

    def words(self) -> str:
        """The counts in words, for people."""
        told = (
            (self.superseded, "superseded run", "superseded runs"),
            (self.cut, "long output cut", "long outputs cut"),
            (self.images, "output without its figures", "outputs without their figures"),
            (self.runs, "run in the digest", "runs in the digest"),
            (self.turns, "turn in the digest", "turns in the digest"),
        )
        words = [f"{count:,} {one if count == 1 else many}" for count, one, many in told if count]
        return ", ".join(words) or "nothing"


@frozen
class CompactedWindow:
    """The new window. `tokens`: about how many it has. `folded`: units that became the digest."""

    entries: tuple[Entry, ...]
    digest: Digest
    dropped: Dropped
    tokens: int
    folded: int


def shorten(
    entries: Sequence[Entry], known: CompactionInput, room: Room, keep: KeepText
) -> CompactedWindow:
    """The window in at most about that room, if possible.

    The present prompt, the last sample and pinned cells and turns stay whole.
    """
    work = _work(entries, known, room)
    work.drop_superseded()
    recent = work.recent()
    work.shrink(lambda unit: without_bulk(unit, keep), "cut", recent)
    work.shrink(without_images, "images", recent)
    boundary = work.boundary()
    if boundary == len(work.units) - 1:
        work.shrink(lambda unit: without_bulk(unit, keep), "cut", len(work.units))
        boundary = work.boundary()
    return work.folded(boundary)


def rebuild(entries: Sequence[Entry], known: CompactionInput, room: Room) -> CompactedWindow:
    """The window with a new digest. Nothing is left out."""
    return _work(entries, known, room).folded(0)


def _work(entries: Sequence[Entry], known: CompactionInput, room: Room) -> "_Rewrite":
    remade = ("instructions", "place", "digest", *(("names",) if known.names else ()))
    body = [entry for entry in entries if entry.kind not in remade]
    return _Rewrite(units_of(body), _standing(entries, known), known, room)


class _Rewrite:
    """A window while it is rewritten: its units, the cost of each, and counts of the changes."""

    def __init__(
        self, units: list[Unit], head: list[Entry], known: CompactionInput, room: Room
    ) -> None:
        self.units = units
        self.costs = [tokens_of(unit) for unit in units]
        self._head = head
        self._known = known
        self._topics = known.topics()
        self._base = room.tokens
        self._fixed = tokens_of(head)
        self._counts = {"superseded": 0, "cut": 0, "images": 0}
        earlier = known.digest.said if known.digest else ()
        self._digests: dict[int, Digest] = {}
        self._safe = known.safe_turns()
        self._told = [
            Saying(turn.model_copy(update={"shown": ""}) if turn.shown else turn)
            for turn in earlier
        ]
        self._said = dict(self._sayings())
        self._words = self._share_of_words(room)
        self._room = room.tokens + self._needed_for_words(room)
        self._bare = self._cost_of_digest(0)

    def _share_of_words(self, room: Room) -> int:
        """Most tokens of the person's words in the digest. They yield only to units that stay."""
        others = share(room.tokens, NOTED_SHARE + CELLS_SHARE + NAMES_SHARE) + self._fixed
        costs = zip(self.units, self.costs, strict=True)
        whole = sum(cost for unit, cost in costs if self._stays(unit)) + LAST_UNIT_TOKENS
        least = share(room.tokens, SAID_SHARE)
        return max(least, min(room.words, room.most - others - whole))

    def _needed_for_words(self, room: Room) -> int:
        """Tokens for the person's words beyond the share that they have anyway."""
        every = sum(saying.cost for saying in (*self._told, *self._said.values()))
        more = min(every, self._words) - share(room.tokens, SAID_SHARE)
        return max(0, min(more, room.most - room.tokens))

    def drop_superseded(self) -> None:
        """Drop the person's runs that a later run of the same cell superseded."""
        if self._fits():
            return
        after = self._known.validity.after
        kept: list[Unit] = []
        for unit in self.units:
            run = unit[0].run if unit[0].kind == "cells" else None
            if run and after(run) and not self._stays(unit):
                self._counts["superseded"] += 1
            else:
                smaller = Smaller(unit, 0) if self._stays(unit) else replaced_by(unit, after)
                self._counts["superseded"] += smaller.changed
                kept.append(smaller.unit)
        self.units = kept
        self.costs = [tokens_of(unit) for unit in kept]
        self._digests.clear()

    def recent(self) -> int:
        """The index of the first of the latest units."""
        left = int(self._room * RECENT_SHARE)
        for at in reversed(range(len(self.units))):
            left -= self.costs[at]
            if left < 0:
                return min(at + 1, len(self.units) - 1)
        return 0

    def shrink(self, smaller: Callable[[Unit], Smaller], what: str, upto: int) -> None:
        """Make units before `upto` smaller, the oldest first, until the window fits."""
        for at in range(upto):
            if self._fits():
                return
            if self._stays(self.units[at]):
                continue
            done = smaller(self.units[at])
            if done.changed:
                self._counts[what] += done.changed
                self.units[at], self.costs[at] = done.unit, tokens_of(done.unit)

    def boundary(self) -> int:
        """The index of the first unit that is not folded into the digest."""
        if self._fits() or not self.units:
            return 0
        first = last = len(self.units) - 1
        staying = map(self._stays, self.units)
        whole = sum(cost for cost, stays in zip(self.costs, staying, strict=True) if stays)
        left = self._room - self._fixed - whole - self._cost_when_kept(last)
        digest = self._cost_of_digest(last)
        while first > 0 and left - self._cost_when_kept(first - 1) >= digest:
            first -= 1
            left -= self._cost_when_kept(first)
        # A digest of fewer runs may be longer, because they are not folded into ranges yet.
        while first < last and left < self._cost_of_digest(first):
            left += self._cost_when_kept(first)
            first += 1
        return first

    def _cost_when_kept(self, at: int) -> int:
        """Tokens of a unit, or 0 if it stays anyway."""
        return 0 if self._stays(self.units[at]) else self.costs[at]

    def folded(self, boundary: int) -> CompactedWindow:
        """The units from `boundary` on, those before it that stay, and a digest of the rest."""
        gone = [unit for unit in self.units[:boundary] if not self._stays(unit)]
        digest = self._digest(boundary)
        item = message("user", text_part(digest.text))
        told = Entry(item, self._known.turn, None, "digest")
        kept = [unit for at, unit in enumerate(self.units) if at >= boundary or self._stays(unit)]
        entries = (*self._head, told, *(entry for unit in kept for entry in unit))
        dropped = Dropped(
            **self._counts,
            runs=sum(entry.run is not None for unit in gone for entry in unit),
            turns=sum(unit[0].kind == "said" for unit in gone),
        )
        return CompactedWindow(entries, digest, dropped, tokens_of(entries), boundary)

    def _fits(self) -> bool:
        return self._fixed + self._bare + sum(self.costs) <= self._room

    def _stays(self, unit: Unit) -> bool:
        first = unit[0]
        if first.kind == "said" and first.turn == self._known.turn:
            return True
        validity, runs = self._known.validity, self._known.runs
        if first.kind != "cells" and f"turn:{first.turn}" in validity.marks.pinned:
            return True
        return any(validity.pins(head) for entry in unit if (head := runs.get(entry.run)))

    def _cost_of_digest(self, boundary: int) -> int:
        return estimate(self._digest(boundary).text)

    def _digest(self, boundary: int) -> Digest:
        """The digest of the units before `boundary` and of the earlier digest."""
        if boundary not in self._digests:
            self._digests[boundary] = self._new_digest(boundary)
        return self._digests[boundary]

    def _new_digest(self, boundary: int) -> Digest:
        known, earlier, room = self._known, self._known.digest, self._base
        upto = self._runs_before(boundary)
        words = self._fitting_words(boundary)
        parts = Parts(
            notes=known.notes or (earlier.notes if earlier else Notes()),
            said=words.turns,
            left=words.left + (earlier.left if earlier else 0),
            answered=words.answered,
            more=earlier.more if earlier else "",
            cells=[
                *known.gone,
                *index_lines(
                    known.runs, upto, share(room, CELLS_SHARE), known.besides, self._topics
                ),
            ],
            upto=upto,
            names=list(_names(known.names, share(room, NAMES_SHARE))),
            mark=known.validity.mark,
            superseded=known.validity.superseded,
        )
        return make_digest(parts, room)

    def _fitting_words(self, boundary: int) -> Fitting:
        """The person's words in the digest of the units before `boundary`."""
        known = self._known
        heads = [unit[0] for unit in self.units[:boundary]]
        said = [self._said[id(head)] for head in heads if id(head) in self._said]
        answers = share(self._base, SAID_SHARE)
        superseded = known.validity.superseded
        return fitting([*self._told, *said], self._words, answers, self._safe, superseded)

    def _runs_before(self, boundary: int) -> int:
        """How many runs the digest lists: from the first up to one that is not folded."""
        runs, before = self._known.runs, self._known.digest.upto if self._known.digest else 0
        if boundary == 0:
            return min(before, len(runs.heads))  # the record may have lost some
        kept = [
            runs.place(entry.run)
            for unit in self.units[boundary:]
            for entry in unit
            if entry.run and runs.get(entry.run)
        ]
        return min([at for at in kept if at >= before], default=len(runs.heads))

    def _sayings(self) -> Iterator[tuple[int, Saying]]:
        """The person's words in each turn of the window that may go, by the id of its entry."""
        counts = {head.turn: head for head in self._known.turns}
        answers = dict(_answers(entry for unit in self.units for entry in unit))
        for unit in self.units:
            entry = unit[0]
            if entry.kind == "said" and not self._stays(unit) and isinstance(entry.item, Message):
                head = counts.get(entry.turn)
                turn = SaidTurn(
                    turn=entry.turn,
                    label=head.label if head else f"turn {entry.turn}",
                    text=_said_text(entry.item),
                    answer=answers.get(entry.turn, ""),
                )
                yield id(entry), Saying(turn)


def _standing(entries: Sequence[Entry], known: CompactionInput) -> list[Entry]:
    """The project's instructions and the environment, the latest of each. They always stay."""
    docs = [entry for entry in entries if entry.kind == "instructions"][-1:]
    place = [entry for entry in entries if entry.kind == "place"]
    if not place:
        return docs
    item = environment_item(known.facts)
    same = [entry for entry in place if entry.item.wire == item.wire]
    return [*docs, same[-1] if same else replace(place[-1], item=item)]


def _answers(entries: Iterator[Entry]) -> Iterator[tuple[int, str]]:
    """For each message of the model, its turn and its text, cut. The last of a turn counts."""
    for entry in entries:
        if isinstance(entry.item, Message) and entry.kind == "model" and entry.item.text.strip():
            yield (
                entry.turn,
                " ".join(cut_middle(entry.item.text.strip(), MAX_ANSWER_TOKENS).split()),
            )


def _said_text(item: Message) -> str:
    """The person's own words, which are the first part. Attachments are in the record."""
    return item.content if isinstance(item.content, str) else item.content[0].text or ""


def _names(lines: Sequence[str], budget: int) -> list[str]:
    """The lines of the latest variables that fit, in order, and the number of the others."""
    kept: list[str] = []
    for line in reversed(lines):
        budget -= estimate(line) + 1
        if budget < 0:
            break
        kept.insert(0, f"  {line}")
    left = len(lines) - len(kept)
    return [f"({left:,} more: inspect shows any)", *kept] if left else kept
