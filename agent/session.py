"""What lasts between turns: the conversation, its record, the settings, and the seams to the world.

Knows neither how a turn runs nor who hosts it.
"""

import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .context import Place, difference
from .events import Notice, Usage
from .history import Entry, History
from .items import Item, call_output, message, sendable, text_part
from .policy import Action, Verdict
from .prompt import make_fields
from .providers import Target
from .record import Record
from .request import Request
from .settings import Settings
from .tools import Tool
from .wire import SamplePart

Sample = Callable[[Request], AsyncGenerator[SamplePart | Notice]]
"""Seam: send a request, yield what comes. The real one is `Client.sample`."""

Approve = Callable[[Action, Verdict], Awaitable[Verdict]]
"""Seam: ask a person; the verdict that comes back is `allow` or `deny`."""

INTERRUPTED = "Not finished: the turn ended here. What ran before may have had its effect."


@dataclass(frozen=True, slots=True)
class Said:
    """What the person said. `attached`: descriptions of variables they referred to, as data."""

    text: str
    place: Place
    attached: tuple[str, ...] = ()
    cell: str | None = None


@dataclass(slots=True)
class Conversation:
    """The part of a session that grows. `cell`: the cell of the turn that runs, or ran last."""

    history: History = field(default_factory=History)
    told: Place | None = None
    turns: int = 0
    cell: str | None = None
    usage: Usage = field(default_factory=Usage)
    last: Usage | None = None


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

    def fields(self) -> bytes:
        """The fixed part of this session's requests."""
        return make_fields(self.target, self.settings, self.tools, self.id)

    def begin(self, said: Said) -> list[str]:
        """Open a turn: what changed around us, then what was said. Returns what to notice."""
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
        known = talk.told.docs if talk.told else ()
        for item in difference(talk.told, said.place):
            self.commit(item)
        talk.told = said.place
        self.commit(message("user", text_part(said.text), *map(text_part, said.attached)))
        cut = [doc for doc in said.place.docs if doc.cut and doc not in known]
        return [f"{doc.path} is longer than docs_bytes allows: its end is left out." for doc in cut]

    def commit(self, item: Item) -> None:
        """Add an item to history and record, for good."""
        talk, item = self.conversation, sendable(item)
        talk.history.append(Entry(item, talk.turns, talk.cell))
        self.record.append_item(item, talk.turns)

    def close_open_calls(self) -> None:
        """Answer every call that has no output, so that the conversation can go on.

        Raises RecordError, all the same with every call answered.
        """
        talk = self.conversation
        told = [text_part(INTERRUPTED)]
        outputs = [call_output(call.call_id, told) for call in talk.history.open_calls]
        for output in outputs:
            talk.history.append(Entry(output, talk.turns, talk.cell))
        for output in outputs:
            self.record.append_item(output, talk.turns)


def new_session_id() -> str:
    """Unique, and in order of time: seconds and 40 random bits, in hexadecimal."""
    return f"{int(time.time()):x}-{secrets.token_hex(5)}"


def record_path(folder: Path, session_id: str) -> Path:
    """Where a session's record lies under `folder`."""
    day = time.strftime("%Y-%m", time.localtime(int(session_id.partition("-")[0], 16)))
    return folder / "sessions" / day / f"{session_id}.jsonl"
