"""The log of cell runs by handle: who ran which cell, and which run superseded it. Values only.

Knows neither the outputs of runs nor where they are kept.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Literal

from ..frozen import frozen
from ..protocol.record_lines import CellRunLine
from .references import (
    CellIdStart,
    CountReference,
    HandleRange,
    HandleReference,
    Reference,
    RunReference,
    TurnReference,
)

MAX_FIRST_LINE_CHARS = 100
"""Most characters kept of a source's first line."""
MAX_FIRST_NAMES = 8
"""Most names of one run that its line shows."""
HIDDEN = "a run hidden from you"


@frozen
class RunSummary:
    """One run without its outputs.

    `key` is equal for runs of one cell. `turn`: the turn that ran it, or for the person's runs the
    turn that told it. `number`: for the person's runs, the number in `kernel`. `count`: In [count].
    `line`: the source's first line. `bound`, `deleted`: all names that it bound or removed.
    `error`: an exception's name. `tokens`: about how many its full form has.
    """

    handle: str
    by: Literal["person", "agent"]
    key: str
    turn: int
    line: str
    status: str
    cell: str | None = None
    count: int | None = None
    number: int | None = None
    kernel: str | None = None
    bound: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    error: str = ""
    tokens: int = 0

    @property
    def label(self) -> str:
        """The run's name beside its handle: `run 7, In [12]`, or `turn 3, In [13]`."""
        whose = f"turn {self.turn}" if self.by == "agent" else f"run {self.number}"
        return whose + (f", In [{self.count}]" if self.count is not None else "")


@frozen
class Together:
    """A summary of consecutive runs. `first`, `last`: handles of the first and the last shown.

    `outcomes`: outcomes with their counts, the most frequent first. `bound`: the first names.
    `more`: there are more names. `superseded`: how many ran again later. `turns`: the first and the
    last that ran or told them. `topics`, `headings`: some prompts and comments, from all over.
    """

    first: str
    last: str
    outcomes: tuple[tuple[str, int], ...]
    bound: tuple[str, ...]
    more: bool
    superseded: int
    turns: tuple[int, int]
    topics: tuple[str, ...]
    headings: tuple[str, ...]


@frozen
class TurnHead:
    """One turn: its number, the first line of its prompt, its cell's id, its In [count]."""

    turn: int
    line: str
    cell: str | None = None
    count: int | None = None

    @property
    def label(self) -> str:
        """The turn's name: `turn 3, In [12]`."""
        return f"turn {self.turn}" + (f", In [{self.count}]" if self.count is not None else "")


@frozen
class Marks:
    """The person's marks: keys of runs, or `turn:3`."""

    pinned: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()

    def marked(self, mark: str, key: str) -> "Marks":
        """The marks after `pin`, `unpin`, `hide` or `show` of a key."""
        match mark:
            case "pin":
                return Marks(self.pinned | {key}, self.hidden)
            case "unpin":
                return Marks(self.pinned - {key}, self.hidden)
            case "hide":
                return Marks(self.pinned - {key}, self.hidden | {key})
            case _:
                return Marks(self.pinned, self.hidden - {key})


NO_MARKS = Marks()


def head_of(line: CellRunLine) -> RunSummary:
    """The summary of the run in a line."""
    run = line.run
    errors = [shown["ename"] for shown in run["outputs"] if shown["output_type"] == "error"]
    return RunSummary(
        handle=line.handle,
        by=line.by,
        key=run_key(run["source"], line.cell if line.by == "person" else line.ran),
        turn=line.turn or 0,
        line=first_line(run["source"]),
        status=run["status"],
        cell=line.cell,
        count=run.get("count"),
        number=line.number,
        kernel=line.kernel,
        bound=tuple(run.get("bound", ())),
        deleted=tuple(run.get("deleted", ())),
        error=first_line(errors[-1]) if errors else "",
        tokens=line.tokens,
    )


def run_key(source: str, cell: str | None) -> str:
    """The key that runs of one cell share: the cell's id, or a digest of the source."""
    return cell or blake2b(source.encode(errors="replace"), digest_size=8).hexdigest()


def first_names(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - MAX_FIRST_NAMES
    return ", ".join(names[:MAX_FIRST_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def first_line(text: str) -> str:
    """The first line that is not blank, bounded."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= MAX_FIRST_LINE_CHARS else f"{line[:MAX_FIRST_LINE_CHARS]}…"


class RunLog:
    """All runs of a session in the order they were kept. Adding one always costs the same.

    `together`: summaries of ranges of 10, 100, … runs, by start and end. They are cleared when
    marks change, and those with a run are dropped when a later run supersedes it.
    """

    def __init__(self, heads: Iterable[RunSummary] = (), ended: Iterable[str] = ()) -> None:
        self.heads: list[RunSummary] = []
        self.together: dict[tuple[int, int], Together | None] = {}
        self._at: dict[str, int] = {}
        self._latest: dict[str, str] = {}
        self._next: dict[str, str] = {}
        self._before: dict[str, str] = {}
        self._numbered: dict[tuple[str | None, int | None], str] = {}
        for head in heads:
            self.add(head)
        for handle in ended:
            self._next.setdefault(handle, HIDDEN)

    def add(self, head: RunSummary) -> None:
        """Add a run. It supersedes the latest run of its cell."""
        earlier = self.latest(head.key)
        self._at[head.handle] = len(self.heads)
        self.heads.append(head)
        self._latest[head.key] = head.handle
        if head.by == "person":
            self._numbered[head.kernel, head.number] = head.handle
        if earlier:
            self._before[head.handle] = earlier
            self._supersede(earlier, head.handle)

    def end(self, handle: str) -> None:
        """Note that a hidden run superseded this one."""
        self._supersede(handle, HIDDEN)

    def _supersede(self, handle: str, later: str) -> None:
        self._next[handle] = later
        at, size = self._at.get(handle, 0), 10
        while size <= len(self.heads):
            start = at // size * size
            self.together.pop((start, start + size), None)
            size *= 10

    def latest(self, key: str) -> str | None:
        """The handle of the latest run of a cell."""
        return self._latest.get(key)

    def get(self, handle: str | None) -> RunSummary | None:
        """The run with that handle, or None."""
        at = self._at.get(handle or "")
        return None if at is None else self.heads[at]

    def place(self, handle: str) -> int:
        """The number of runs before this one. Raises KeyError."""
        return self._at[handle]

    def superseded_by(self, handle: str | None) -> str | None:
        """The handle of the next run of the same cell, or `HIDDEN`."""
        return self._next.get(handle or "")

    def supersedes(self, handle: str) -> str | None:
        """The handle of the run of the same cell before it."""
        return self._before.get(handle)

    def numbered(self, kernel: str | None, number: int) -> str | None:
        """The handle of the person's run with that number in that kernel."""
        return self._numbered.get((kernel, number))

    def versions(self, handle: str) -> tuple[str, ...]:
        """The handles of all runs of its cell, in order."""
        head = self.get(handle)
        return tuple(it.handle for it in self.heads if head and it.key == head.key)

    def named(self, reference: Reference) -> tuple[RunSummary, ...]:
        """The runs that a reference names. A count or a run's number names the latest with it."""
        match reference:
            case HandleReference(handle):
                head = self.get(handle)
                return (head,) if head else ()
            case HandleRange(first, last):
                return tuple(it for it in self.heads if first <= _number(it.handle) <= last)
            case TurnReference(turn):
                return tuple(it for it in self.heads if it.by == "agent" and it.turn == turn)
            case RunReference(number, count):
                return self._latest_of(lambda it: it.number == number and count in (None, it.count))
            case CountReference(count):
                return self._latest_of(lambda it: it.count == count)
            case CellIdStart():
                return tuple(it for it in self.heads if reference.names(it.cell))
            case _:
                return ()

    def _latest_of(self, matches: Callable[[RunSummary], bool]) -> tuple[RunSummary, ...]:
        return tuple(islice(filter(matches, reversed(self.heads)), 1))


def superseded_turns(turns: Sequence[TurnHead]) -> dict[int, int]:
    """Turns whose cell ran again, each with the next turn of that cell."""
    later: dict[str, int] = {}
    found: dict[int, int] = {}
    for head in reversed(turns):
        if head.cell and head.cell in later:
            found[head.turn] = later[head.cell]
        if head.cell:
            later[head.cell] = head.turn
    return found


def turns_named(reference: Reference, turns: Sequence[TurnHead]) -> tuple[TurnHead, ...]:
    """The turns that a reference names, the latest last. A count names the latest with it."""
    match reference:
        case TurnReference(turn):
            return tuple(it for it in turns if it.turn == turn)
        case CountReference(count):
            return tuple(it for it in turns if it.count == count)[-1:]
        case CellIdStart():
            return tuple(it for it in turns if reference.names(it.cell))
        case _:
            return ()


def _number(handle: str) -> int:
    return int(handle.partition("-")[2])
