"""What lasts between turns: the conversation, its record, the settings, and the seams to the world.

Knows neither how a turn runs nor who hosts it.
"""

import re
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from .config.settings import Settings
from .context.cells import HiddenRuns
from .context.changes import (
    Budget,
    Cells,
    ContextItem,
    Environment,
    KnownContext,
    Snapshot,
    difference,
    environment_difference,
)
from .context.instructions import make_fields
from .conversation.digest import Digest
from .conversation.history import Entry, EntryKind, History, Numbered
from .conversation.notes import Preparation
from .conversation.output_store import OutputStore
from .conversation.record import Record
from .conversation.resume import Resumed
from .conversation.runs import NO_MARKS, Marks, TurnHead, first_line, run_key, superseded_turns
from .conversation.validity import Validity
from .protocol.actions import Action, Verdict
from .protocol.events import Notice, Usage
from .protocol.items import FunctionCallOutput, Item, call_output, message, sendable, text_part
from .protocol.observed import Stale, UserCellRun, Variable
from .protocol.record_lines import ItemLine, TurnLine, WindowLine
from .providers.resolve import Target
from .responses.provider_compaction import Sealed
from .responses.request import Request
from .responses.stream import SamplePart
from .text.tokens import Corrected
from .tools.tool import Show, Tool, show_nothing

Sample = Callable[[Request], AsyncGenerator[SamplePart | Notice]]
"""Seam: send a request, yield what comes. The real one is `Client.sample`."""

Compact = Callable[[Request], Awaitable[Sealed]]
"""Seam: have the provider compact what a request would send. Raises a ModelError."""

Approve = Callable[[Action, Verdict], Awaitable[Verdict]]
"""Seam: ask a person; the verdict that comes back is `allow` or `deny`."""

Look = Callable[[], Environment]
"""Seam: where we are now."""

Live = Callable[[], Mapping[str, Variable]]
"""Seam: the live names now."""

INTERRUPTED = "Not finished: the turn ended here. What ran before may have had its effect."


CELL_RAN_BEFORE = (
    "<cells>\nThis cell ran before, as turn {}: what came of it then is superseded.\n</cells>"
)

_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the person said. `attached`: descriptions of variables they referred to, as data."""

    text: str
    seen: Snapshot
    attached: tuple[str, ...] = ()
    cell: str | None = None
    count: int | None = None


@dataclass(slots=True)
class Conversation:
    """The part of a session that grows. `cell`: the cell of the turn that runs, or ran last.

    `turns`: how many there were, those that were taken back among them; `heads`: those that were
    not. `counted`: the last request as the server counted it, and as we did. `window`: what a
    server showed the model's to be, at most, by refusing a request. `stale`: as last seen. `stuck`:
    our tokens up to which another compaction would be in vain. `preparing`: notes on their way.
    """

    history: History = field(default_factory=History)
    told: KnownContext = field(default_factory=KnownContext)
    turns: int = 0
    heads: list[TurnHead] = field(default_factory=list[TurnHead])
    cell: str | None = None
    usage: Usage = field(default_factory=Usage)
    last: Usage | None = None
    counted: Corrected | None = None
    digest: Digest | None = None
    marks: Marks = NO_MARKS
    stale: Stale = ()
    window: int | None = None
    stuck: int = 0
    preparing: Preparation | None = None

    def size(self, fixed: int) -> int:
        """Tokens of the next request as the server would count; `fixed`: ours of its fields."""
        counted = fixed + self.history.tokens
        return self.counted.total(counted) if self.counted else counted


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation with one model. A turn with other settings is a `replace` of this.

    `aside`: asks the same model beside the conversation; without it, `sample` does. `compact`: asks
    the provider for its own compaction. `show`: shows at once what code puts out while it runs.
    """

    id: str
    settings: Settings
    target: Target
    tools: tuple[Tool[Any], ...]
    sample: Sample
    approve: Approve
    record: Record
    outputs: OutputStore
    conversation: Conversation = field(default_factory=Conversation)
    look: Look | None = None
    live: Live | None = None
    aside: Sample | None = None
    compact: Compact | None = None
    show: Show = show_nothing

    def fields(self) -> bytes:
        """The fixed part of this session's requests."""
        return make_fields(self.target, self.settings, self.tools, self.id)

    def begin(self, said: Prompt) -> list[str]:
        """Open a turn: what changed around us, then what was said. Returns what to notice."""
        self.close_open_calls()  # of a kernel that died in a turn
        self.unseal()
        conversation = self.conversation
        conversation.turns += 1
        conversation.cell = said.cell
        conversation.stale = said.seen.stale
        conversation.heads.append(
            TurnHead(conversation.turns, first_line(said.text), said.cell, said.count)
        )
        self.outputs.begin(conversation.turns, said.cell)
        self.record.append(
            TurnLine(
                turn=conversation.turns,
                cell=said.cell,
                count=said.count,
                said=said.text,
                provider=self.target.provider,
                model=self.target.model,
                policy=self.settings.policy,
            )
        )
        budget = Budget(self.settings.cells_tokens, self.settings.names_tokens)
        mentioned = frozenset(_NAME.findall(said.text))
        cells = self._kept(said.seen.cells, said.seen.kernel)
        tellings, told = difference(conversation.told, said.seen, budget, mentioned, cells)
        self._tell(tellings, told)
        if earlier := self._earlier(said.cell):
            self.commit(message("user", text_part(CELL_RAN_BEFORE.format(earlier))), "cells")
        parts = (said.text, *said.attached)
        self.commit(message("user", *map(text_part, parts)), "said")
        docs = (
            said.seen.environment.docs if any(it.kind == "instructions" for it in tellings) else ()
        )
        cut = [doc.path for doc in docs if doc.cut]
        return [f"{path} is longer than docs_bytes allows: its end is left out." for path in cut]

    def refresh(self) -> None:
        """Tell what changed around us while the turn runs."""
        if self.look is not None:
            # What a turn imports is its own doing: the next one is told.
            told, later = self.conversation.told, frozenset({"imported"})
            self._tell(*environment_difference(told, self.look(), later))

    def commit(self, item: Item, kind: EntryKind = "model", run: str | None = None) -> None:
        """Add an item to history and record, for good."""
        conversation, item = self.conversation, sendable(item)
        if isinstance(item, FunctionCallOutput):
            kind = "output"
        entry = Entry(item, conversation.turns, conversation.cell, kind, run)
        self._write(conversation.history.append(entry), entry)

    def rewrite(self, entries: Sequence[Entry], why: str, digest: Digest | None) -> None:
        """Have these in place of the whole window, in the record too. The cache breaks once."""
        history = self.conversation.history
        before = history.tokens
        self._rewritten(history.rewrite(entries), why, digest, before)

    def seal(
        self,
        entries: Sequence[Entry],
        count: int,
        why: str,
        local: Sequence[Entry],
        digest: Digest | None,
    ) -> None:
        """Have these in place of all, of which this provider alone can read the first `count`.

        `local`: what those stand for, as we shortened it, kept beside them; `digest` is of it.
        """
        history = self.conversation.history
        before = history.tokens
        new = history.rewrite(entries, self.target.provider, count, local)
        self._rewritten(new, why, digest, before)

    def unseal(self) -> None:
        """Another provider is asked than the one that sealed a part of the window."""
        history = self.conversation.history
        if history.seal and history.seal.by != self.target.provider:
            self.rewrite(history.local, "provider", self.conversation.digest)

    def _rewritten(
        self, new: Sequence[Numbered], why: str, digest: Digest | None, before: int
    ) -> None:
        """The record knows of the window as it is now, and what of it is new."""
        conversation, history = self.conversation, self.conversation.history
        for numbered in new:
            self._write(*numbered, apart=True)
        conversation.digest = digest
        seal = history.seal
        self.record.append(
            WindowLine(
                why=why,
                before=before,
                after=history.tokens,
                entries=list(_spans(history.numbers)),
                digest=digest.model_dump() if digest else None,
                by=seal.by if seal else None,
                sealed=seal.count if seal else None,
                local=list(_spans([n for n, _ in seal.local])) if seal else None,
            )
        )

    def _earlier(self, cell: str | None) -> int | None:
        """The turn before this one that the same cell made."""
        heads = self.conversation.heads[:-1]
        return next((it.turn for it in reversed(heads) if cell and it.cell == cell), None)

    def know(self, told: KnownContext) -> None:
        """What the model knows now; the record has it, too."""
        conversation = self.conversation
        if told != conversation.told:
            self.record.append(conversation.told.changes(told))
            conversation.told = told

    def _tell(self, tellings: list[ContextItem], told: KnownContext) -> None:
        """Append what is told; the record knows from then on that it was."""
        for telling in tellings:
            self.commit(telling.item, telling.kind, telling.run)
        self.know(told)

    def _kept(self, runs: Sequence[UserCellRun], kernel: str) -> Cells:
        """The person's runs in the record, but for those that they hide."""
        marked = self.conversation.marks.hidden
        hides = [run.hidden or run_key(run.source, run.cell) in marked for run in runs]
        hidden = [run for run, hide in zip(runs, hides, strict=True) if hide]
        shown = [run for run, hide in zip(runs, hides, strict=True) if not hide]
        superseded = [it for run in hidden if (it := self.outputs.supersede(run))]
        kept = tuple(self.outputs.keep_seen(run, kernel) for run in shown)
        return Cells(kept, HiddenRuns(len(hidden), tuple(superseded)))

    def _write(self, n: int, entry: Entry, apart: bool = False) -> None:
        self.record.append(
            ItemLine(
                n=n,
                turn=entry.turn,
                cell=entry.cell,
                about=entry.kind,
                run=entry.run,
                apart=apart,
                wire=entry.item.wire,
            )
        )

    def close_open_calls(self) -> None:
        """Answer every call that has no output, so that the conversation can go on.

        Raises RecordError, all the same with every call answered.
        """
        conversation = self.conversation
        told = [text_part(INTERRUPTED)]
        outputs = [call_output(call.call_id, told) for call in conversation.history.open_calls]
        entries = [
            Entry(output, conversation.turns, conversation.cell, "output") for output in outputs
        ]
        numbered = [(conversation.history.append(entry), entry) for entry in entries]
        for n, entry in numbered:
            self._write(n, entry)


def validity(conversation: Conversation, outputs: OutputStore) -> Validity:
    """What of the runs so far still holds. Stale is what was seen to be in this kernel."""
    labels = {label for label, _ in conversation.stale}
    heads, kernel = outputs.runs.heads if labels else (), conversation.told.kernel
    stale = (it.handle for it in heads if it.kernel == kernel and it.label in labels)
    return Validity(
        outputs.runs, conversation.marks, frozenset(stale), superseded_turns(conversation.heads)
    )


def conversation_of(resumed: Resumed) -> Conversation:
    """The conversation that a record tells, to go on with."""
    told = KnownContext()
    for line in resumed.told:
        told = told.changed_by(line)
    return Conversation(
        history=resumed.history,
        told=told,
        turns=resumed.turns,
        heads=resumed.heads,
        cell=resumed.cell,
        usage=resumed.usage,
        last=resumed.last,
        digest=resumed.digest,
        marks=resumed.marks,
    )


def _spans(numbers: Sequence[int]) -> Iterator[list[int]]:
    """First and last of each row of numbers that follow each other."""
    for _, row in groupby(enumerate(numbers), lambda it: it[1] - it[0]):
        members = [n for _, n in row]
        yield [members[0], members[-1]]


def new_session_id() -> str:
    """Unique, and in order of time: seconds and 40 random bits, in hexadecimal."""
    return f"{int(time.time()):x}-{secrets.token_hex(5)}"


def record_path(folder: Path, session_id: str) -> Path:
    """Where a session's record lies under `folder`."""
    day = time.strftime("%Y-%m", time.localtime(int(session_id.partition("-")[0], 16)))
    return folder / "sessions" / day / f"{session_id}.jsonl"
