"""The lines of a session's record, one frozen class a kind. Knows no file, and no session.

`kind` is its name on disk. A field that is None there is left out if the class names it in
`optional`. Lines from before lines had a version are read by `upgrade`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, Self

from .items import Item, parse_item
from .verbatim_json import loads

VERSION = 1
_ITEM = b',"item":'
"""Before an item in its line. No string before it can hold this: there, quotes are escaped."""


@cache
def _names(kind: "type[_Line]") -> tuple[str, ...]:
    return tuple(it.name for it in fields(kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """`v`: the version that wrote it; 0 before there was one."""

    kind: ClassVar[str] = ""
    optional: ClassVar[frozenset[str]] = frozenset()
    v: int = VERSION

    @classmethod
    def read(cls, value: Mapping[str, Any], _text: bytes) -> Self:
        """The line of that JSON value; keys of later versions are passed over."""
        return cls(**{name: value[name] for name in _names(cls) if name in value})

    def values(self) -> dict[str, Any]:
        """What is written."""
        told = {name: getattr(self, name) for name in _names(type(self))}
        return {
            name: value
            for name, value in told.items()
            if value is not None or name not in self.optional
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLine(_Line):
    """The first line."""

    kind: ClassVar[str] = "session"
    session: str
    cwd: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnLine(_Line):
    """A turn begins: what was said, in which cell, to which model."""

    kind: ClassVar[str] = "turn"
    turn: int
    cell: str | None
    count: int | None
    said: str
    provider: str = ""
    model: str = ""
    policy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldLine(_Line):
    """What the model knows of where it is, from here on; of `names` only what changed."""

    kind: ClassVar[str] = "told"
    facts: Mapping[str, str]
    docs: Sequence[str]
    kernel: str
    names: Mapping[str, Any]
    gone: Sequence[str]
    run: int
    stale: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemLine(_Line):
    """An item, verbatim. `apart`: it is in no window until a `window` line names it.

    `n`: its number, None where it is the next. A `cell` of "" is the cell of its turn.
    """

    kind: ClassVar[str] = "item"
    n: int | None = None
    turn: int
    cell: str | None = ""
    about: Any = "model"
    run: str | None = None
    apart: bool = False
    wire: bytes

    @classmethod
    def read(cls, value: Mapping[str, Any], text: bytes) -> Self:
        """The line, with the item as it is in the text."""
        if not isinstance(value["item"]["type"], str):
            raise ValueError("an item without a type")
        return cls(
            v=value["v"],
            n=value["n"],
            turn=value["turn"],
            cell=value["cell"],
            about=value["about"],
            run=value.get("run"),
            apart=value.get("apart", False),
            wire=text.partition(_ITEM)[2].rstrip()[:-1],
        )

    def values(self) -> dict[str, Any]:
        """All but the item."""
        where = {"v": self.v, "n": self.n, "turn": self.turn, "cell": self.cell}
        where |= {"about": self.about}
        where |= {"run": self.run} if self.run else {}
        return where | ({"apart": True} if self.apart else {})

    def item(self) -> Item:
        """The item."""
        return parse_item(loads(self.wire), self.wire)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictLine(_Line):
    """A verdict on a call."""

    kind: ClassVar[str] = "verdict"
    call_id: str = ""
    tool: str = ""
    decision: str | None = None
    reason: str = ""
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LentCallLine(_Line):
    """A call of a tool by the code of a step."""

    kind: ClassVar[str] = "lent_call"
    call_id: str = ""
    tool: str = ""
    arguments: Mapping[str, Any] | None = None
    status: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRunLine(_Line):
    """A run of the agent's or the person's, outputs in full, and its handle.

    `turn`: None where it is the last that began. `ran`: the notebook's cell that a step ran. `run`:
    the JSON of the `CellRun`, whose keys are the line's own on disk.
    """

    kind: ClassVar[str] = "cell_run"
    optional: ClassVar[frozenset[str]] = frozenset(
        {"number", "kernel", "changed", "reads", "call_id", "ran"}
    )
    by: Any
    turn: int | None
    cell: str | None
    number: int | None = None
    kernel: str | None = None
    changed: Sequence[str] | None = None
    reads: Any = None
    call_id: str | None = None
    ran: str | None = None
    handle: str
    tokens: int
    run: Mapping[str, Any]

    @classmethod
    def read(cls, value: Mapping[str, Any], _text: bytes) -> Self:
        """The line; all keys that are not its own are of the run."""
        own = [name for name in _names(cls) if name != "run"]
        run = {name: it for name, it in value.items() if name not in own}
        return cls(**{name: value[name] for name in own if name in value}, run=run)

    def values(self) -> dict[str, Any]:
        """With the keys of the run."""
        told = _Line.values(self)
        return told | told.pop("run")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLine(_Line):
    """Another text that is kept under a handle. `turn`: as of a run."""

    kind: ClassVar[str] = "output"
    turn: int | None
    handle: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SupersededLine(_Line):
    """A run's place was taken by one that is hidden."""

    kind: ClassVar[str] = "superseded"
    handle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleLine(_Line):
    """What a response took."""

    kind: ClassVar[str] = "sample"
    sample: int = 0
    usage: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedLine(_Line):
    """A turn is over."""

    kind: ClassVar[str] = "ended"
    status: str
    answer: str = ""
    usage: Mapping[str, int]
    cost: float | None = None
    seconds: float = 0.0
    samples: int
    error: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLine(_Line):
    """All of the window: first and last numbers of its entries.

    `by`: the provider that alone can read the first `sealed` of them; `local` stands for these.
    """

    kind: ClassVar[str] = "window"
    optional: ClassVar[frozenset[str]] = frozenset({"by", "sealed", "local"})
    why: str = ""
    before: int = 0
    after: int = 0
    entries: Sequence[Sequence[int]]
    digest: Mapping[str, Any] | None
    by: str | None = None
    sealed: int | None = None
    local: Sequence[Sequence[int]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RewindLine(_Line):
    """The conversation is as it was before that turn."""

    kind: ClassVar[str] = "rewind"
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkLine(_Line):
    """The person pins, unpins, hides or shows what goes by that key."""

    kind: ClassVar[str] = "mark"
    mark: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesLine(_Line):
    """What the model was asked for a digest. `entries`: how many of the window it saw."""

    kind: ClassVar[str] = "notes"
    optional: ClassVar[frozenset[str]] = frozenset({"entries"})
    entries: int | None = None
    usage: Mapping[str, int]
    notes: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class OtherLine:
    """A line of a kind that this version does not know."""

    kind: str
    fields: Mapping[str, Any]

    def values(self) -> dict[str, Any]:
        """As they are."""
        return dict(self.fields)


KnownLine = (
    SessionLine
    | TurnLine
    | ToldLine
    | ItemLine
    | VerdictLine
    | LentCallLine
    | CellRunLine
    | OutputLine
    | SupersededLine
    | SampleLine
    | EndedLine
    | WindowLine
    | RewindLine
    | MarkLine
    | NotesLine
)
RecordLine = KnownLine | OtherLine

_KINDS: dict[object, type[KnownLine]] = {it.kind: it for it in KnownLine.__args__}
_BEFORE_VERSIONS: dict[str, dict[str, Any]] = {
    "item": {"n": None, "cell": "", "about": "model"},
    "turn": {"cell": None, "count": None, "said": ""},
    "cell_run": {"by": "agent", "turn": None, "cell": None, "handle": "", "tokens": 0},
    "output": {"turn": None, "handle": "", "text": ""},
}
"""By kind, what lines without a version may leave out."""


def upgrade(value: dict[str, Any]) -> dict[str, Any]:
    """A line's values as this version writes them."""
    return value if "v" in value else {"v": 0, **_BEFORE_VERSIONS.get(value["kind"], {}), **value}


def line_of(value: dict[str, Any], text: bytes) -> RecordLine:
    """The line of that JSON value and text. Raises KeyError, TypeError, ValueError."""
    kind = value["kind"]
    if not isinstance(kind, str) or kind not in _KINDS:
        return OtherLine(kind, value)
    return _KINDS[kind].read(upgrade(value), text)
