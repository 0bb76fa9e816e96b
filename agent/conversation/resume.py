"""Reads a session's record, so that the session can go on. Knows no live session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..protocol.items import FunctionCallOutput, Item, Message, Reasoning
from ..protocol.record_lines import (
    CellRunLine,
    ItemLine,
    OutputLine,
    RecordLine,
    RewindLine,
    SessionLine,
    SupersededLine,
    ToldLine,
    TurnLine,
    TypedLine,
    WindowLine,
)
from .digest import Digest
from .history import Entry, History, Numbered, OpaquePrefix
from .record import BAD_LINE, bad_line, read_lines
from .runs import RunSummary, head_of
from .state import Conversation


@dataclass(slots=True)
class Resumed:
    """All that a session needs to go on. Calls that a crash left open have no output yet.

    `outputs`: the byte at which the line of each handle begins. `runs`: summaries of the runs.
    `ended`: handles of runs that a hidden run superseded. `limits`: settings that were typed.
    """

    session: str
    conversation: Conversation = field(default_factory=Conversation)
    outputs: dict[str, int] = field(default_factory=dict[str, int])
    runs: list[RunSummary] = field(default_factory=list[RunSummary])
    ended: list[str] = field(default_factory=list[str])
    limits: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class _Sealed:
    """Only `by` can read the first `count` items of the window. Others get those of `local`."""

    by: str
    count: int
    local: list[int]


@dataclass(frozen=True, slots=True)
class _Mark:
    """The state before a turn: how many of each there were."""

    window: list[int]
    length: int
    seal: "_Sealed | None"
    told: int
    heads: int
    cell: str | None
    digest: Digest | None


class _Replay:
    """The record up to a line. `window`: numbers of entries. It grows until it is replaced."""

    def __init__(self, session: str) -> None:
        self.resumed = Resumed(session)
        self._lines: dict[int, tuple[ItemLine, str | None]] = {}
        self._told: list[ToldLine] = []
        self._digest: Digest | None = None
        self.window: list[int] = []
        self._seal: _Sealed | None = None
        self._marks: dict[int, _Mark] = {}
        self._made = 0

    def take(self, at: int, line: RecordLine) -> None:
        """Read one more line, which begins at byte `at`."""
        resumed = self.resumed
        match line:
            case ItemLine():
                self._item(line)
            case ToldLine():
                self._told.append(line)
            case WindowLine():
                self.window = _numbers(line.entries)
                sealed = (line.sealed or 0, _numbers(line.local or ()))
                self._seal = _Sealed(line.by, *sealed) if line.by else None
                self._digest = Digest.model_validate(line.digest) if line.digest else None
            case OutputLine() | CellRunLine() if line.handle:
                resumed.outputs[line.handle] = at
                if isinstance(line, CellRunLine):
                    resumed.runs.append(head_of(line))
            case SupersededLine():
                resumed.ended.append(line.handle)
            case TypedLine():
                resumed.limits = line.limits
            case SessionLine():
                resumed.session = line.session
            case RewindLine():
                self._rewind(self._marks[line.turn])
            case _:
                self._follow(line)

    def finish(self) -> Resumed:
        """The state after all lines."""
        numbered = self._numbered(self.window)
        seal, count = None, 0
        if self._seal:
            count = self._seal.count
            seal = OpaquePrefix(self._seal.by, count, tuple(self._numbered(self._seal.local)))
        window = [*numbered[:count], *_sendable(numbered[count:])]
        conversation = self.resumed.conversation
        conversation.history = History(window, self._made, seal)
        for line in self._told:
            conversation.told = conversation.told.changed_by(line)
        conversation.digest = self._digest
        return self.resumed

    def _numbered(self, numbers: list[int]) -> list[Numbered]:
        return [(n, _entry(*self._lines[n])) for n in numbers if n in self._lines]

    def _item(self, line: ItemLine) -> None:
        n = self._made if line.n is None else line.n
        self._lines[n] = (line, line.cell if line.cell != "" else self.resumed.conversation.cell)
        self._made = n + 1
        if not line.apart:
            self.window.append(n)

    def _follow(self, line: RecordLine) -> None:
        conversation = self.resumed.conversation
        if isinstance(line, TurnLine):
            self._marks[line.turn] = _Mark(
                self.window,
                len(self.window),
                self._seal,
                len(self._told),
                len(conversation.heads),
                conversation.cell,
                self._digest,
            )
        conversation.follow(line)

    def _rewind(self, mark: _Mark) -> None:
        conversation = self.resumed.conversation
        self.window, self._seal = mark.window[: mark.length], mark.seal
        del self._told[mark.told :], conversation.heads[mark.heads :]
        conversation.cell, conversation.last, self._digest = mark.cell, None, mark.digest


def resume(path: Path) -> Resumed:
    """Read a session's record. A last line that a crash cut off is left out.

    So is reasoning that a crash cut off from the item after it, because a server refuses it alone.
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
    """The entry of a line. Items are parsed only here, because most are in no window any more."""
    return Entry(line.item(), line.turn, cell, line.about, line.run)


def _numbers(spans: Sequence[Sequence[int]]) -> list[int]:
    return [n for first, last in spans for n in range(first, last + 1)]


def _sendable(numbered: list[Numbered]) -> list[Numbered]:
    """The entries without reasoning that no item of the model follows."""
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
    """True if the model did not make the item."""
    if isinstance(item, Message):
        return item.role != "assistant"
    return isinstance(item, FunctionCallOutput)
