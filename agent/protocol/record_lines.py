"""The lines of a session's record, one frozen class a kind. Knows no file, and no session.

`kind` is the name of the class on disk. A field that is None is left out there if `optional` names
it. A field that another version may lack has a default; a session cannot go on without the others.
`upgrade` reads older lines, which have no version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from functools import cache
from typing import Any, ClassVar, Self

from ..frozen import frozen
from .items import Item, parse_item
from .json_types import checks_of
from .verbatim_json import loads

VERSION = 1
_ITEM = b',"item":'
"""The text before an item in its line. No string before it can hold this, as quotes are escaped."""


@cache
def _names(kind: "type[_Line]") -> tuple[str, ...]:
    return tuple(it.name for it in fields(kind))


@frozen(kw_only=True)
class _Line:
    """`v`: the version that wrote the line. It is 0 for lines without a version."""

    kind: ClassVar[str] = ""
    optional: ClassVar[frozenset[str]] = frozenset()
    v: int = VERSION

    @classmethod
    def read(cls, value: Mapping[str, Any], _text: bytes) -> Self:
        """The line with that JSON value. Keys of later versions are ignored."""
        return cls(**cls._own(value))

    @classmethod
    def _own(cls, value: Mapping[str, Any]) -> dict[str, Any]:
        """The values of its fields. Raises TypeError for one of another type."""
        own: dict[str, Any] = {}
        for name, plain, fits in checks_of(cls):
            if name in value:
                own[name] = it = value[name]
                if type(it) not in plain and not fits(it):
                    raise TypeError(f"a line with another {name}")
        return own

    def values(self) -> dict[str, Any]:
        """The values to write."""
        told = {name: getattr(self, name) for name in _names(type(self))}
        return {
            name: value
            for name, value in told.items()
            if value is not None or name not in self.optional
        }


@frozen(kw_only=True)
class SessionLine(_Line):
    """The first line of a record. `notebook`: its path, if it is known."""

    kind: ClassVar[str] = "session"
    session: str
    cwd: str = ""
    notebook: str = ""


@frozen(kw_only=True)
class ToolsLine(_Line):
    """The tools of servers and of functions in all requests of the session, in order.

    Each has `server`, `tool`, `name`, `description` and `parameters`. `refused`: the names of those
    that the provider does not take, and that requests leave out.
    """

    kind: ClassVar[str] = "tools"
    tools: Sequence[Mapping[str, Any]]
    refused: Sequence[str] = ()


@frozen(kw_only=True)
class TurnLine(_Line):
    """A turn begins. `said`: the prompt. `cell`, `count`: of the cell that was run."""

    kind: ClassVar[str] = "turn"
    turn: int
    cell: str | None = None
    count: int | None = None
    said: str = ""
    provider: str = ""
    model: str = ""
    policy: str = ""


@frozen(kw_only=True)
class TypedLine(_Line):
    """The limits that the person has typed so far, by setting."""

    kind: ClassVar[str] = "typed"
    limits: Mapping[str, Any] = field(default_factory=dict[str, Any])


@frozen(kw_only=True)
class ToldLine(_Line):
    """The context that the model knows from here on. `names`: only those that changed.

    `full`: percent of the window that the model knows to be used.
    """

    kind: ClassVar[str] = "told"
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    docs: Sequence[str] = ()
    kernel: str = ""
    names: Mapping[str, Any] = field(default_factory=dict[str, Any])
    gone: Sequence[str] = ()
    run: int = 0
    stale: Sequence[str] = ()
    full: int = 0


@frozen(kw_only=True)
class ItemLine(_Line):
    """An item, verbatim. `apart`: it is in no window until a `window` line names it.

    `n`: its number, or None for the next. `cell`: "" is the cell of its turn. `run`: the handle of
    the run it shows. `splices`: the item in place of `wire`, as texts and parts of that run's line.
    A part is its first character there and the one after its last.
    """

    kind: ClassVar[str] = "item"
    optional: ClassVar[frozenset[str]] = frozenset({"run", "splices"})
    n: int | None = None
    turn: int
    cell: str | None = ""
    about: Any = "model"
    run: str | None = None
    apart: bool = False
    splices: Sequence[str | Sequence[int]] | None = None
    wire: bytes = b""

    @classmethod
    def read(cls, value: Mapping[str, Any], text: bytes) -> Self:
        """The line, with the item's own text."""
        if "splices" in value:
            return cls(**cls._own(value))
        if not isinstance(value["item"]["type"], str):
            raise ValueError("an item without a type")
        own = cls._own(value)
        begin = text.index(_ITEM) + len(_ITEM)
        own["wire"] = text[begin : text.rindex(b"}")]
        return cls(**own)

    def values(self) -> dict[str, Any]:
        """The values to write, without the item."""
        return {
            name: value
            for name, value in _Line.values(self).items()
            if name != "wire" and (value or name != "apart")
        }

    def item(self) -> Item:
        """The item, parsed."""
        return parse_item(loads(self.wire), self.wire)


@frozen(kw_only=True)
class VerdictLine(_Line):
    """A verdict on a call. `when`: it was reached, in ISO 8601. `literal`: what would happen, where
    the call itself does not say it. `deeds`: kind, target and call of what it may do beyond the
    walls.
    """

    kind: ClassVar[str] = "verdict"
    call_id: str = ""
    tool: str = ""
    decision: str | None = None
    reason: str = ""
    by: str | None = None
    when: str = ""
    literal: str = ""
    deeds: Sequence[Sequence[str]] = ()


@frozen(kw_only=True)
class LentCallLine(_Line):
    """A call of a tool from the code of a step."""

    kind: ClassVar[str] = "lent_call"
    call_id: str = ""
    tool: str = ""
    arguments: Mapping[str, Any] | None = None
    status: str = ""
    text: str = ""


@frozen(kw_only=True)
class CellRunLine(_Line):
    """A cell run of the agent or the person, with its handle and its outputs in full.

    `turn`: None for the last that began. `ran`: the notebook's cell that a step ran. `run`: the
    JSON of the `CellRun`, whose keys are keys of the line on disk.
    """

    kind: ClassVar[str] = "cell_run"
    optional: ClassVar[frozenset[str]] = frozenset(
        {"number", "kernel", "changed", "reads", "call_id", "ran"}
    )
    by: Any
    turn: int | None = None
    cell: str | None = None
    number: int | None = None
    kernel: str | None = None
    changed: Sequence[str] | None = None
    reads: Any = None
    call_id: str | None = None
    ran: str | None = None
    handle: str
    tokens: int = 0
    run: Mapping[str, Any]

    @classmethod
    def read(cls, value: Mapping[str, Any], _text: bytes) -> Self:
        """The line. All keys that are not its own belong to the run."""
        own = {*_names(cls)} - {"run"}
        run = {name: it for name, it in value.items() if name not in own}
        return cls(**cls._own({**value, "run": run}))

    def values(self) -> dict[str, Any]:
        """The values to write, with the keys of the run."""
        told = _Line.values(self)
        return told | told.pop("run")


@frozen(kw_only=True)
class OutputLine(_Line):
    """Another text that is kept under a handle. `turn`: as in a `cell_run` line."""

    kind: ClassVar[str] = "output"
    turn: int | None = None
    handle: str
    text: str


@frozen(kw_only=True)
class SupersededLine(_Line):
    """A run was superseded by one that is hidden."""

    kind: ClassVar[str] = "superseded"
    handle: str


@frozen(kw_only=True)
class SampleLine(_Line):
    """A response is complete. `usage`: its tokens. `counted`: tokens of the same, as we count."""

    kind: ClassVar[str] = "sample"
    optional: ClassVar[frozenset[str]] = frozenset({"counted"})
    sample: int = 0
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    counted: int | None = None


@frozen(kw_only=True)
class EndedLine(_Line):
    """A turn is over."""

    kind: ClassVar[str] = "ended"
    status: str = ""
    answer: str = ""
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    cost: float | None = None
    seconds: float = 0.0
    samples: int = 0
    steps: int = 0
    sent: int = 0
    error: str | None = None
    hint: str | None = None


@frozen(kw_only=True)
class WindowLine(_Line):
    """The whole window. `entries`: first and last numbers of its ranges of items.

    `by`: the only provider that can read the first `sealed` items. `local` replaces these for
    others. `limit`: most tokens of the model's window, known from a refused request. `digest` has
    no text where an item of the window is that text, and of a turn as in the last one its number.
    """

    kind: ClassVar[str] = "window"
    optional: ClassVar[frozenset[str]] = frozenset({"by", "sealed", "local", "limit"})
    why: str = ""
    before: int = 0
    after: int = 0
    entries: Sequence[Sequence[int]]
    digest: Mapping[str, Any] | None
    by: str | None = None
    sealed: int | None = None
    local: Sequence[Sequence[int]] | None = None
    limit: int | None = None


@frozen(kw_only=True)
class RewindLine(_Line):
    """The conversation is as it was before that turn."""

    kind: ClassVar[str] = "rewind"
    turn: int


@frozen(kw_only=True)
class MarkLine(_Line):
    """The person pins, unpins, hides or shows the thing with that key."""

    kind: ClassVar[str] = "mark"
    mark: str
    key: str


@frozen(kw_only=True)
class NotesLine(_Line):
    """The model was asked for notes. `entries`: how many entries of the window it saw."""

    kind: ClassVar[str] = "notes"
    optional: ClassVar[frozenset[str]] = frozenset({"entries"})
    entries: int | None = None
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    notes: Mapping[str, Any] | None = None


@frozen(kw_only=True)
class AsideLine(_Line):
    """The model was asked for a server, beside the conversation. `answer`: its text."""

    kind: ClassVar[str] = "aside"
    server: str = ""
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    answer: str = ""


@frozen
class OtherLine:
    """A line of a kind that this version does not know."""

    kind: str
    fields: Mapping[str, Any]

    def values(self) -> dict[str, Any]:
        """The values as they were read."""
        return dict(self.fields)


KnownLine = (
    SessionLine
    | ToolsLine
    | TurnLine
    | TypedLine
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
    | AsideLine
)
RecordLine = KnownLine | OtherLine

_KINDS: dict[object, type[KnownLine]] = {it.kind: it for it in KnownLine.__args__}
_BEFORE_VERSIONS = {"cell_run": {"by": "agent", "handle": ""}, "output": {"handle": "", "text": ""}}
"""By kind, the values that lines without a version may leave out."""


def upgrade(value: dict[str, Any]) -> dict[str, Any]:
    """The values of a line, as this version writes them."""
    return value if "v" in value else {"v": 0, **_BEFORE_VERSIONS.get(value["kind"], {}), **value}


def line_of(value: dict[str, Any], text: bytes) -> RecordLine:
    """The line with that JSON value and text. Raises KeyError, TypeError, ValueError."""
    kind = value["kind"]
    if not isinstance(kind, str) or kind not in _KINDS:
        return OtherLine(kind, value)
    return _KINDS[kind].read(upgrade(value), text)
