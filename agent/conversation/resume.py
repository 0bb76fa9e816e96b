"""Reads a session's record, so that the session can go on. Knows no live session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from ..errors import RecordError
from ..frozen import frozen
from ..protocol.items import Message
from ..protocol.record_lines import (
    CellRunLine,
    ItemLine,
    MarkLine,
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
from .digest import Digest, SaidTurn
from .history import Entry, History, Numbered, OpaquePrefix
from .mend import sendable_window
from .record import BAD_LINE, ReadLine, read_record, whole_item
from .runs import RunSummary, head_of
from .state import Conversation


@dataclass(slots=True)
class Resumed:
    """All that a session needs to go on. Calls that a crash left open have no output yet.

    `outputs`: the byte at which the line of each handle begins. `runs`: summaries of the runs.
    `ended`: handles of runs that a hidden run superseded. `limits`: settings that were typed.
    `lost`: lines that cannot be read. `broken`: lines that do not follow from those before them:
    something there was changed, removed or put in. `missing`: items whose lines are gone.
    `reveals`: cells were hidden, or turns taken back, and no window was recorded since. It may show
    hidden cells.
    """

    session: str
    conversation: Conversation = field(default_factory=Conversation)
    outputs: dict[str, int] = field(default_factory=dict[str, int])
    runs: list[RunSummary] = field(default_factory=list[RunSummary])
    ended: list[str] = field(default_factory=list[str])
    limits: Mapping[str, Any] = field(default_factory=dict[str, Any])
    lost: list[ReadLine] = field(default_factory=list[ReadLine])
    broken: list[ReadLine] = field(default_factory=list[ReadLine])
    missing: int = 0
    reveals: bool = False


@frozen
class _Sealed:
    """Only `by` can read the first `count` items of the window. Others get those of `local`."""

    by: str
    count: int
    local: list[int]


@frozen
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
    """The record up to a line. `window`: numbers of entries. It grows until it is replaced.

    `_made`, `_named`: past the numbers of all items so far, and of all that a window named.
    """

    def __init__(self, path: Path) -> None:
        self.resumed = Resumed(path.stem)
        self._path = path
        self._lines: dict[int, tuple[ReadLine, str | None]] = {}
        self._told: list[ToldLine] = []
        self._digest: Digest | None = None
        self.window: list[int] = []
        self._seal: _Sealed | None = None
        self._marks: dict[int, _Mark] = {}
        self._said: dict[int, SaidTurn] = {}
        self._made = self._named = 0
        self._gap = 0

    def take(self, read: ReadLine) -> None:
        """Read one more line. Raises the errors of `BAD_LINE`, and then changes nothing."""
        resumed, line = self.resumed, read.line
        match line:
            case None:
                resumed.lost.append(read)
            case ItemLine():
                self._item(read, line)
            case ToldLine():
                self._told.append(line)
            case WindowLine():
                self._replace(line)
                self._follow(line)
            case OutputLine() | CellRunLine() if line.handle:
                if isinstance(line, CellRunLine):
                    resumed.runs.append(head_of(line))
                resumed.outputs[line.handle] = read.at
            case SupersededLine():
                resumed.ended.append(line.handle)
            case SessionLine():
                resumed.session = line.session
            case RewindLine():
                self._rewind(line.turn)
            case _:
                self._follow(line)

    def finish(self) -> Resumed:
        """The state after all lines."""
        conversation, fresh = self.resumed.conversation, count(max(self._made, self._named))
        sealed = self._seal.count if self._seal else 0
        start, rest = self._numbered(self.window[:sealed]), self._numbered(self.window[sealed:])
        local = self._numbered(self._seal.local) if self._seal else []
        if len(start) < sealed:  # a part of it is useless
            self._seal, start, rest = None, [], [*local, *rest]
        lost = self.resumed.lost
        damaged = bool(self._gap or lost)
        unread = sum(read.kind in ("item", "") for read in lost)
        self.resumed.missing = max(0, self._gap - unread)
        window = [*start, *sendable_window(rest, damaged, fresh)]
        seal = None
        if self._seal:
            ours = tuple(sendable_window(local, damaged, fresh))
            seal = OpaquePrefix(self._seal.by, sealed, ours)
        conversation.history = History(window, next(fresh), seal)
        if not damaged:  # else a line may be lost, and the next turn tells all
            conversation.told = conversation.told.changed_by(*self._told)
        conversation.digest = self._digest
        return self.resumed

    def _numbered(self, numbers: list[int]) -> list[Numbered]:
        """The entries. Items are parsed only here, because most are in no window any more."""
        found: list[Numbered] = []
        for n in numbers:
            read, cell = self._lines.get(n, (None, None))
            if read and isinstance(line := read.line, ItemLine):
                try:
                    item = whole_item(self._path, line, self.resumed.outputs)
                    found.append((n, Entry(item, line.turn, cell, line.about, line.run)))
                except (*BAD_LINE, RecordError):
                    self.resumed.lost.append(read)
        return found

    def _item(self, read: ReadLine, line: ItemLine) -> None:
        n = self._made if line.n is None else line.n
        if n < self._made:
            raise ValueError("an item that is there already")
        self._gap += n - self._made
        self._lines[n] = (read, line.cell if line.cell != "" else self.resumed.conversation.cell)
        self._made = n + 1
        if not line.apart:
            self.window.append(n)

    def _replace(self, line: WindowLine) -> None:
        window, local = self._numbers(line.entries), self._numbers(line.local or ())
        seal = _Sealed(line.by, line.sealed or 0, local) if line.by else None
        self._digest = self._whole(line.digest, [*local, *window]) if line.digest else None
        self.window, self._seal = window, seal
        self.resumed.reveals = False

    def _whole(self, fields: Mapping[str, Any], numbers: Sequence[int]) -> Digest:
        """The digest, with the texts that its line leaves out because others hold them."""
        text = fields["text"] if "text" in fields else self._text(numbers)
        known = {turn.turn: turn for turn in self._digest.said} if self._digest else {}
        given = fields.get("said", ())
        said = [
            turn if len(turn) > 1 else known.get(turn["turn"]) or self._said.get(turn["turn"])
            for turn in given
        ]
        found = list(filter(None, said))
        left = fields.get("left", 0) + len(said) - len(found)
        return Digest.model_validate({**fields, "text": text, "said": found, "left": left})

    def _text(self, numbers: Sequence[int]) -> str:
        """The text of the digest among these items, or nothing if its line is lost."""
        for n in numbers:
            read, _ = self._lines.get(n, (None, None))
            if read and isinstance(line := read.line, ItemLine) and line.about == "digest":
                item = line.item()
                if isinstance(item, Message):
                    return item.text
        return ""

    def _numbers(self, spans: Sequence[Sequence[int]]) -> list[int]:
        most = self._made + len(self.resumed.lost)  # a damaged line may name any number
        numbers = [n for first, last in spans for n in range(first, min(last + 1, most))]
        self._named = max([self._named, *(n + 1 for n in numbers)])
        return numbers

    def _follow(self, line: RecordLine) -> None:
        conversation = self.resumed.conversation
        if isinstance(line, TypedLine):
            self.resumed.limits = line.limits
        if isinstance(line, MarkLine) and line.mark == "hide":
            self.resumed.reveals = True
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
        if isinstance(line, TurnLine) and line.said:
            label = conversation.heads[-1].label
            self._said[line.turn] = SaidTurn(turn=line.turn, label=label, text=line.said)

    def _rewind(self, turn: int) -> None:
        """Go back to before that turn, or before the next that is known if it was lost."""
        conversation, known = self.resumed.conversation, [it for it in self._marks if it >= turn]
        if not known:
            return
        mark = self._marks[min(known)]
        self.resumed.reveals = True
        self.window, self._seal = mark.window[: mark.length], mark.seal
        del self._told[mark.told :], conversation.heads[mark.heads :]
        conversation.cell, conversation.last, self._digest = mark.cell, None, mark.digest


def resume(path: Path) -> Resumed:
    """Read a session's record. Lines that cannot be read are left out, and named in `lost`.

    A last line that a crash cut off is left out, too, and so is all that a server would refuse
    without the lost lines. Raises RecordError if no line can be read.
    """
    replay, some = _Replay(path), False
    for read in read_record(path):
        if not read.follows:
            replay.resumed.broken.append(read)
        try:
            replay.take(read)
            some = some or read.line is not None
        except BAD_LINE:
            replay.take(read._replace(line=None))
    if replay.resumed.lost and not some:
        raise RecordError(f"{path} is no session record: none of its lines can be read.")
    return replay.finish()
