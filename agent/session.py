"""What lasts between turns: the conversation, its record, the settings, and the seams to the world.

Knows neither how a turn runs nor who hosts it.
"""

import re
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .cells_told import Fit
from .context import Budget, Place, Snapshot, Telling, Told, difference, place_difference
from .events import Notice, Usage
from .history import Entry, History, Kind
from .items import FunctionCallOutput, Item, call_output, message, sendable, text_part
from .policy import Action, Verdict
from .prompt import make_fields
from .providers import Target
from .record import Record
from .request import Request
from .resume import Resumed
from .settings import Settings
from .tokens import Corrected, cut_middle
from .tools import Tool
from .wire import SamplePart

Sample = Callable[[Request], AsyncGenerator[SamplePart | Notice]]
"""Seam: send a request, yield what comes. The real one is `Client.sample`."""

Approve = Callable[[Action, Verdict], Awaitable[Verdict]]
"""Seam: ask a person; the verdict that comes back is `allow` or `deny`."""

Look = Callable[[], Place]
"""Seam: where we are now."""

INTERRUPTED = "Not finished: the turn ended here. What ran before may have had its effect."


_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Said:
    """What the person said. `attached`: descriptions of variables they referred to, as data."""

    text: str
    seen: Snapshot
    attached: tuple[str, ...] = ()
    cell: str | None = None


@dataclass(slots=True)
class Conversation:
    """The part of a session that grows. `cell`: the cell of the turn that runs, or ran last.

    `counted`: the last request as the server counted it, and as we did, without the fixed fields.
    """

    history: History = field(default_factory=History)
    told: Told = field(default_factory=Told)
    turns: int = 0
    cell: str | None = None
    usage: Usage = field(default_factory=Usage)
    last: Usage | None = None
    counted: Corrected | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation with one model. A turn with other settings is a `replace` of this."""

    id: str
    settings: Settings
    target: Target
    tools: tuple[Tool[Any], ...]
    sample: Sample
    approve: Approve
    record: Record
    conversation: Conversation = field(default_factory=Conversation)
    look: Look | None = None
    fit: Fit = cut_middle

    def fields(self) -> bytes:
        """The fixed part of this session's requests."""
        return make_fields(self.target, self.settings, self.tools, self.id)

    def begin(self, said: Said) -> list[str]:
        """Open a turn: what changed around us, then what was said. Returns what to notice."""
        self.close_open_calls()  # of a kernel that died in a turn
        talk = self.conversation
        talk.turns += 1
        talk.cell = said.cell
        self.record.append(
            "turn",
            {
                "turn": talk.turns,
                "cell": said.cell,
                "said": said.text,
                "provider": self.target.provider,
                "model": self.target.model,
                "policy": self.settings.policy,
            },
        )
        budget = Budget(self.settings.cells_tokens, self.settings.names_tokens)
        mentioned = frozenset(_NAME.findall(said.text))
        tellings, told = difference(talk.told, said.seen, budget, mentioned, self.fit)
        self._tell(tellings, told)
        parts = (said.text, *said.attached)
        self.commit(message("user", *map(text_part, parts)), "said")
        docs = said.seen.place.docs if any(it.kind == "instructions" for it in tellings) else ()
        cut = [doc.path for doc in docs if doc.cut]
        return [f"{path} is longer than docs_bytes allows: its end is left out." for path in cut]

    def refresh(self) -> None:
        """Tell what changed around us while the turn runs."""
        if self.look is not None:
            # What a turn imports is its own doing: the next one is told.
            told, later = self.conversation.told, frozenset({"imported"})
            self._tell(*place_difference(told, self.look(), later))

    def commit(self, item: Item, kind: Kind = "model") -> None:
        """Add an item to history and record, for good."""
        talk, item = self.conversation, sendable(item)
        if isinstance(item, FunctionCallOutput):
            kind = "output"
        talk.history.append(Entry(item, talk.turns, talk.cell, kind))
        self.record.append_item(item, talk.turns, talk.cell, kind)

    def _tell(self, tellings: list[Telling], told: Told) -> None:
        """Append what is told; the record knows from then on that it was."""
        talk = self.conversation
        for telling in tellings:
            self.commit(telling.item, telling.kind)
        if told != talk.told:
            self.record.append("told", talk.told.changes(told))
            talk.told = told

    def close_open_calls(self) -> None:
        """Answer every call that has no output, so that the conversation can go on.

        Raises RecordError, all the same with every call answered.
        """
        talk = self.conversation
        told = [text_part(INTERRUPTED)]
        outputs = [call_output(call.call_id, told) for call in talk.history.open_calls]
        for output in outputs:
            talk.history.append(Entry(output, talk.turns, talk.cell, "output"))
        for output in outputs:
            self.record.append_item(output, talk.turns, talk.cell, "output")


def conversation_of(resumed: Resumed) -> Conversation:
    """The conversation that a record tells, to go on with."""
    told = Told()
    for values in resumed.told:
        told = told.changed_by(values)
    return Conversation(
        history=resumed.history,
        told=told,
        turns=resumed.turns,
        cell=resumed.cell,
        usage=resumed.usage,
        last=resumed.last,
    )


def new_session_id() -> str:
    """Unique, and in order of time: seconds and 40 random bits, in hexadecimal."""
    return f"{int(time.time()):x}-{secrets.token_hex(5)}"


def record_path(folder: Path, session_id: str) -> Path:
    """Where a session's record lies under `folder`."""
    day = time.strftime("%Y-%m", time.localtime(int(session_id.partition("-")[0], 16)))
    return folder / "sessions" / day / f"{session_id}.jsonl"
