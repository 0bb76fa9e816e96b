"""A session as its record tells it, to go on from. Knows no live session.

Kinds of line that are not named here are passed over.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import RecordError
from ..protocol.events import Usage
from ..protocol.items import FunctionCallOutput, Item, Message, Reasoning, parse_item
from ..protocol.verbatim_json import loads
from .digest import Digest
from .history import Entry, EntryKind, History, Numbered, OpaquePrefix
from .record import StoredLine, read_lines
from .runs import NO_MARKS, Marks, RunSummary, TurnHead, first_line, head_of

_ITEM = b',"item":'
"""Before an item in its line. No string before it can hold this: there, quotes are escaped."""


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
    told: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
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
    digest: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Raw:
    """An entry whose item is not read yet: of most, only the newest windows have any use."""

    wire: bytes
    turn: int
    cell: str | None
    about: EntryKind
    run: str | None

    def entry(self) -> Entry:
        """The entry."""
        item = parse_item(loads(self.wire), self.wire)
        return Entry(item, self.turn, self.cell, self.about, self.run)


class _Replay:
    """The record up to a line. `window`: numbers of entries; it only grows until it is replaced."""

    def __init__(self, session: str) -> None:
        self.resumed = Resumed(session)
        self._raw: dict[int, _Raw] = {}
        self._digest: dict[str, Any] | None = None
        self.window: list[int] = []
        self._seal: _Sealed | None = None
        self._marks: dict[int, _Mark] = {}
        self._made = 0

    def take(self, line: StoredLine) -> None:
        """One more line."""
        value, resumed = line.value, self.resumed
        match value["kind"]:
            case "item":
                self._item(line)
            case "turn":
                self._turn(value)
            case "told":
                resumed.told.append(value)
            case "sample" | "notes":
                self._usage(value)
            case "output" | "cell_run" if "handle" in value:
                resumed.outputs[value["handle"]] = line.at
                if value["kind"] == "cell_run":
                    resumed.runs.append(head_of(value))
            case "window" | "rewind" | "mark" | "superseded" | "session":
                self._changed(value)
            case _:
                pass

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
        return [(n, self._raw[n].entry()) for n in numbers if n in self._raw]

    def _item(self, line: StoredLine) -> None:
        value = line.value
        wire = line.text.partition(_ITEM)[2].rstrip()[:-1]
        n, cell = value.get("n", self._made), value.get("cell", self.resumed.cell)
        about, run = value.get("about", "model"), value.get("run")
        if not isinstance(value["item"]["type"], str):
            raise ValueError("an item without a type")
        self._raw[n] = _Raw(wire, value["turn"], cell, about, run)
        self._made = n + 1
        if not value.get("apart"):
            self.window.append(n)

    def _turn(self, value: dict[str, Any]) -> None:
        resumed = self.resumed
        self._marks[value["turn"]] = _Mark(
            self.window,
            len(self.window),
            self._seal,
            len(resumed.told),
            len(resumed.heads),
            resumed.cell,
            self._digest,
        )
        resumed.turns, resumed.cell = value["turn"], value["cell"]
        line, count = first_line(value.get("said", "")), value.get("count")
        resumed.heads.append(TurnHead(resumed.turns, line, resumed.cell, count))

    def _usage(self, value: dict[str, Any]) -> None:
        used = Usage(**value["usage"])
        self.resumed.usage += used
        if value["kind"] == "sample":
            self.resumed.last = used

    def _changed(self, value: dict[str, Any]) -> None:
        resumed = self.resumed
        match value["kind"]:
            case "window":
                self.window, by = _numbers(value["entries"]), value.get("by")
                local = _numbers(value.get("local", []))
                self._seal = _Sealed(by, value["sealed"], local) if by else None
                self._digest = value["digest"]
            case "rewind":
                self._rewind(self._marks[value["turn"]])
            case "mark":
                resumed.marks = resumed.marks.marked(value["mark"], value["key"])
            case "superseded":
                resumed.ended.append(value["handle"])
            case _:
                resumed.session = value["session"]

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
    for number, line in enumerate(read_lines(path), 1):
        try:
            replay.take(line)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RecordError(
                f"{path}, line {number}: a line of kind {line.value['kind']!r} cannot be read.",
                "Remove that line, or begin anew: `%agent new`.",
            ) from error
    return replay.finish()


def _numbers(spans: list[list[int]]) -> list[int]:
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
