"""A session as its record tells it, to go on from. Knows no live session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..protocol.events import Usage
from ..protocol.items import FunctionCallOutput, Item, Message, Reasoning
from ..protocol.record_lines import (
    CellRunLine,
    ItemLine,
    MarkLine,
    NotesLine,
    OutputLine,
    RecordLine,
    RewindLine,
    SampleLine,
    SessionLine,
    SupersededLine,
    ToldLine,
    TurnLine,
    WindowLine,
)
from .digest import Digest
from .history import Entry, History, Numbered, OpaquePrefix
from .record import BAD_LINE, bad_line, read_lines
from .runs import NO_MARKS, Marks, RunSummary, TurnHead, first_line, head_of


@dataclass(slots=True)
class Resumed:
    """What a session needs to go on. `told`: the lines of kind `told`, in order.

    `outputs`: the byte at which the line of each handle begins; `runs`: the heads of those that are
    runs, and `ended`: handles whose place a hidden run took. Calls that a crash left open are
    `history.open_calls`.
    """

    session: str
    history: History = field(default_factory=History)
    turns: int = 0
    heads: list[TurnHead] = field(default_factory=list[TurnHead])
    cell: str | None = None
    told: list[ToldLine] = field(default_factory=list[ToldLine])
    usage: Usage = field(default_factory=Usage)
    last: Usage | None = None
    digest: Digest | None = None
    marks: Marks = NO_MARKS
    outputs: dict[str, int] = field(default_factory=dict[str, int])
    runs: list[RunSummary] = field(default_factory=list[RunSummary])
    ended: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class _Sealed:
    """The first `count` of the window only `by` can read; the numbers of what stands for them."""

    by: str
    count: int
    local: list[int]


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where everything stood before a turn: the first so many of each."""

    window: list[int]
    length: int
    seal: "_Sealed | None"
    told: int
    heads: int
    cell: str | None
    digest: Mapping[str, Any] | None


class _Replay:
    """The record up to a line. `window`: numbers of entries; it only grows until it is replaced."""

    def __init__(self, session: str) -> None:
        self.resumed = Resumed(session)
        self._lines: dict[int, tuple[ItemLine, str | None]] = {}
        self._digest: Mapping[str, Any] | None = None
        self.window: list[int] = []
        self._seal: _Sealed | None = None
        self._marks: dict[int, _Mark] = {}
        self._made = 0

    def take(self, at: int, line: RecordLine) -> None:
        """One more line, that begins at byte `at`."""
        resumed = self.resumed
        match line:
            case ItemLine():
                self._item(line)
            case TurnLine():
                self._turn(line)
            case ToldLine():
                resumed.told.append(line)
            case SampleLine() | NotesLine():
                self._usage(line)
            case OutputLine() | CellRunLine() if line.handle:
                resumed.outputs[line.handle] = at
                if isinstance(line, CellRunLine):
                    resumed.runs.append(head_of(line))
            case _:
                self._changed(line)

    def finish(self) -> Resumed:
        """All that was read."""
        numbered = self._numbered(self.window)
        seal, count = None, 0
        if self._seal:
            count = self._seal.count
            seal = OpaquePrefix(self._seal.by, count, tuple(self._numbered(self._seal.local)))
        window = [*numbered[:count], *_sendable(numbered[count:])]
        self.resumed.history = History(window, self._made, seal)
        if self._digest:
            self.resumed.digest = Digest.model_validate(self._digest)
        return self.resumed

    def _numbered(self, numbers: list[int]) -> list[Numbered]:
        return [(n, _entry(*self._lines[n])) for n in numbers if n in self._lines]

    def _item(self, line: ItemLine) -> None:
        n = self._made if line.n is None else line.n
        self._lines[n] = (line, line.cell if line.cell != "" else self.resumed.cell)
        self._made = n + 1
        if not line.apart:
            self.window.append(n)

    def _turn(self, line: TurnLine) -> None:
        resumed = self.resumed
        self._marks[line.turn] = _Mark(
            self.window,
            len(self.window),
            self._seal,
            len(resumed.told),
            len(resumed.heads),
            resumed.cell,
            self._digest,
        )
        resumed.turns, resumed.cell = line.turn, line.cell
        resumed.heads.append(TurnHead(line.turn, first_line(line.said), line.cell, line.count))

    def _usage(self, line: SampleLine | NotesLine) -> None:
        used = Usage(**line.usage)
        self.resumed.usage += used
        if isinstance(line, SampleLine):
            self.resumed.last = used

    def _changed(self, line: RecordLine) -> None:
        resumed = self.resumed
        match line:
            case WindowLine():
                self.window = _numbers(line.entries)
                sealed = (line.sealed or 0, _numbers(line.local or ()))
                self._seal = _Sealed(line.by, *sealed) if line.by else None
                self._digest = line.digest
            case RewindLine():
                self._rewind(self._marks[line.turn])
            case MarkLine():
                resumed.marks = resumed.marks.marked(line.mark, line.key)
            case SupersededLine():
                resumed.ended.append(line.handle)
            case SessionLine():
                resumed.session = line.session
            case _:
                pass

    def _rewind(self, mark: _Mark) -> None:
        resumed = self.resumed
        self.window, self._seal = mark.window[: mark.length], mark.seal
        del resumed.told[mark.told :], resumed.heads[mark.heads :]
        resumed.cell, resumed.last, self._digest = mark.cell, None, mark.digest


def resume(path: Path) -> Resumed:
    """Read a session's record. A last line cut off by a crash is left out.

    Reasoning that a crash cut off from the item after it is left out: a server refuses it alone.
    Raises RecordError naming file and line.
    """
    replay = _Replay(path.stem)
    for number, stored in enumerate(read_lines(path), 1):
        try:
            replay.take(stored.at, stored.line())
        except BAD_LINE as error:
            raise bad_line(path, number, stored.value["kind"]) from error
    return replay.finish()


def _entry(line: ItemLine, cell: str | None) -> Entry:
    """Read only now: of most items, only those of the newest windows have any use."""
    return Entry(line.item(), line.turn, cell, line.about, line.run)


def _numbers(spans: Sequence[Sequence[int]]) -> list[int]:
    return [n for first, last in spans for n in range(first, last + 1)]


def _sendable(numbered: list[Numbered]) -> list[Numbered]:
    """Without reasoning that nothing of the model's follows."""
    kept: list[Numbered] = []
    pending: list[Numbered] = []
    for n, entry in numbered:
        if isinstance(entry.item, Reasoning):
            pending.append((n, entry))
            continue
        if not _is_ours(entry.item):
            kept += pending
        pending.clear()
        kept.append((n, entry))
    return kept


def _is_ours(item: Item) -> bool:
    """It was not made by the model."""
    if isinstance(item, Message):
        return item.role != "assistant"
    return isinstance(item, FunctionCallOutput)
