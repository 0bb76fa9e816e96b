"""The part of a session that grows: window, turns, and the known context. Knows no disk."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from ..frozen import frozen
from ..protocol.events import Usage
from ..protocol.observed import Stale, Variable
from ..protocol.record_lines import (
    AsideLine,
    EndedLine,
    MarkLine,
    NotesLine,
    RecordLine,
    SampleLine,
    ToldLine,
    ToolsLine,
    TurnLine,
    WindowLine,
)
from ..text.masking import Mask
from ..text.tokens import Corrected
from .digest import Digest
from .history import History
from .notes import Preparation
from .runs import NO_MARKS, Marks, TurnHead, first_line

ToldName = Variable | str
"""A variable that the model knows. Read back from a record, it is the digest of its line."""


def name_digest(told: ToldName) -> str:
    """The digest of a known variable, for the record."""
    if isinstance(told, str):
        return told
    return hashlib.blake2b(told.line.encode(errors="replace"), digest_size=6).hexdigest()


@frozen
class KnownContext:
    """All that the model knows of its environment, the variables and your cell runs.

    `run`: the number of the last cell run. `stale`: labels of runs known to be stale. `full`:
    the last percent of the window that a line told.
    """

    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    docs: tuple[str, ...] = ()
    kernel: str = ""
    names: Mapping[str, ToldName] = field(default_factory=dict[str, ToldName])
    run: int = 0
    stale: tuple[str, ...] = ()
    full: int = 0

    def changes(self, later: "KnownContext") -> ToldLine:
        """A line with all that `later` knows. Of the variables it has only those that differ."""
        new = {
            name: name_digest(seen)
            for name, seen in later.names.items()
            if self.names.get(name) is not seen
        }
        return ToldLine(
            facts=later.facts,
            docs=later.docs,
            kernel=later.kernel,
            names=new,
            gone=[name for name in self.names if name not in later.names],
            run=later.run,
            stale=later.stale,
            full=later.full,
        )

    def changed_by(self, *lines: ToldLine) -> Self:
        """The reverse: the context after lines that `changes` made."""
        if not lines:
            return self
        names, last = dict(self.names), lines[-1]
        for line in lines:
            for name in line.gone:
                names.pop(name, None)
            names.update(line.names)
        return replace(
            self,
            facts=dict(last.facts),
            docs=tuple(last.docs),
            kernel=last.kernel,
            names=names,
            run=last.run,
            stale=tuple(last.stale),
            full=last.full,
        )


@dataclass(slots=True)
class Conversation:
    """The state between turns. `cell`, `provider`, `model`: of the turn that runs, or ran last.

    `turns` counts all there were. `heads` are those that were not taken back. `counted`: tokens of
    the last request, by the server and by us. `steps`, `seconds`, `sent`: sums of the turns that
    have ended. `window`: most tokens of the model's window, known
    from a refused request. `stale`: as last seen. `stuck`: our tokens up to which another
    compaction is useless. `preparing`: notes in the making. `noticed`: notices of the last turn.
    `mask`: the keys that are not in the window. `listed`: the tools of servers that each request
    has. None before the first. `refused`: the names of those that the provider does not take.
    """

    history: History = field(default_factory=History)
    told: KnownContext = field(default_factory=KnownContext)
    turns: int = 0
    heads: list[TurnHead] = field(default_factory=list[TurnHead])
    cell: str | None = None
    provider: str = ""
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    steps: int = 0
    seconds: float = 0.0
    sent: int = 0
    last: Usage | None = None
    counted: Corrected | None = None
    digest: Digest | None = None
    marks: Marks = NO_MARKS
    stale: Stale = ()
    window: int | None = None
    stuck: int = 0
    preparing: Preparation | None = None
    noticed: tuple[str, ...] = ()
    mask: Mask = field(default_factory=Mask)
    listed: tuple[Mapping[str, Any], ...] | None = None
    refused: frozenset[str] = frozenset()

    def size(self, fixed: int) -> int:
        """Likely tokens of the next request at the server. `fixed`: of its fields, as we count."""
        counted = fixed + self.history.tokens
        return self.counted.total(counted) if self.counted else counted

    def follow(self, line: RecordLine) -> None:
        """Take over a turn, a usage or a mark from a line, whether just made or read back.

        The journal and `resume` handle items, the window and the known context.
        """
        match line:
            case TurnLine():
                self.turns, self.cell = line.turn, line.cell
                self.window = self.window if line.model == self.model else None
                self.provider, self.model = line.provider, line.model
                self.heads.append(TurnHead(line.turn, first_line(line.said), line.cell, line.count))
            case SampleLine() | NotesLine() | AsideLine():
                used = Usage.read(line.usage)
                self.usage += used
                if isinstance(line, SampleLine):
                    self.last = used
                    reported, counted = used.input + used.output, line.counted
                    self.counted = Corrected(reported, counted) if counted else self.counted
            case EndedLine():
                self.steps += line.steps
                self.seconds += line.seconds
                self.sent += line.sent
            case WindowLine():
                self.window = line.limit or self.window
            case ToolsLine():
                self.listed, self.refused = tuple(line.tools), frozenset(line.refused)
            case MarkLine():
                self.marks = self.marks.marked(line.mark, line.key)
            case _:
                pass
