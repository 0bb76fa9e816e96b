"""Plays a story to a session: the user's cells and prompts, and a played model. No server.

The story has the model's answers and the outputs of its steps. A note-taker writes its notes. The
engine's own estimate counts the requests in place of a server.
"""

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inkernel.agent.config.settings import Settings
from inkernel.agent.context.changes import Environment, Snapshot
from inkernel.agent.conversation.journal import Journal
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.resume import Resumed, resume
from inkernel.agent.conversation.runs import RunLog
from inkernel.agent.conversation.state import Conversation
from inkernel.agent.conversation.validity import Validity, validity
from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.dialects.request import Request
from inkernel.agent.loop import turn as run_turn
from inkernel.agent.protocol.actions import Verdict
from inkernel.agent.protocol.cells import CellRun
from inkernel.agent.protocol.events import Compacted, SampleEnded, Usage
from inkernel.agent.protocol.items import Item, parse_item
from inkernel.agent.protocol.observed import UserCellRun, Variable
from inkernel.agent.protocol.record_lines import SessionLine
from inkernel.agent.protocol.verbatim_json import loads
from inkernel.agent.providers.resolve import Target
from inkernel.agent.seams import Sample, Seams
from inkernel.agent.session import Prompt, Session
from inkernel.agent.testing import answer
from inkernel.agent.text.images import image_tokens
from inkernel.agent.text.tokens import estimate
from inkernel.agent.tools.output import output_tool
from inkernel.agent.tools.recall import recall_tool
from inkernel.agent.tools.run_cell import RunCell, run_cell_tool
from inkernel.agent.tools.tool import Tool, ToolCall
from inkernel.kernel_ext.tools.inspect import inspect_tool

from .notetaker import NoteTaker
from .story import Turn

PLACE = Environment(
    "/home/ada/rain", "2026-03-01", "Europe/Berlin", "3.12.4", notebook="rain.ipynb"
)
KERNEL = "kernel-1"
SESSION = "65f1c000-0123456789"
OUTPUT_TOKENS = 10_000
ASKED = b"about to be shortened"
"""Words that identify a request for notes. No story has them."""
_ENDING = 4_000
"""Bytes at the end of a request that have these words."""

_IMAGE = re.compile(rb"data:image/png;base64,[A-Za-z0-9+/=]+")


class Hands:
    """Runs the steps of a story, which gives their outputs. `spent`: seconds that are not ours."""

    def __init__(self) -> None:
        self.spent = 0.0
        self._runs: deque[CellRun] = deque()

    def prepare(self, turn: Turn) -> None:
        """This turn is the next."""
        self._runs.extend(turn.steps)

    async def run_code(self, _call: ToolCall, _step: RunCell) -> CellRun:
        """The run of the step, with its outputs as in the story."""
        return self._runs.popleft()


class Model(Hands):
    """Plays a turn's steps and its answer. `sizes`: tokens of each request, as a server counts.

    `notes`: number of requests for notes. `spent`: seconds in here, which are not the client's.
    """

    def __init__(self, take_notes: NoteTaker) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.notes = 0
        self._take_notes = take_notes
        self._waiting: deque[Item] = deque()
        self._made = 0

    def prepare(self, turn: Turn) -> None:
        """Play this turn next."""
        super().prepare(turn)
        for run in turn.steps:
            self._made += 1
            call = {"type": "function_call", "name": "run_cell", "call_id": f"call_{self._made}"}
            arguments = json.dumps({"title": "look", "code": run.source})
            self._waiting.append(parse_item({**call, "arguments": arguments}))
        self._waiting.append(said_by_model(turn.answer))

    async def sample(self, request: Request) -> AsyncGenerator[SamplePart]:
        """One response."""
        await asyncio.sleep(0)  # lets other tasks go on, as a network would
        started = time.perf_counter()
        items = bytes(request.items[: request.end])
        size = counted(request.fields, items)
        self.sizes.append(size)
        if ASKED in items[-_ENDING:]:
            self.notes += 1
            item = said_by_model(await self._take_notes(loads(b"[" + items + b"]")))
        else:
            item = self._waiting.popleft()
        self.spent += time.perf_counter() - started
        yield item
        yield ResponseDone(Usage(input=size, output=estimate(item.wire)), response_id=None)


def counted(fields: bytes, items: bytes) -> int:
    """Tokens of a request: its JSON, images as images."""
    images = sum(image_tokens(it[0].decode(), "") for it in _IMAGE.finditer(items))
    return estimate(fields) + estimate(_IMAGE.sub(b"", items)) + images


def said_by_model(text: str) -> Item:
    """A message as a server sends it."""
    part = {"type": "output_text", "text": text, "annotations": []}
    return parse_item({"type": "message", "role": "assistant", "content": [part]})


@dataclass
class Told:
    """The result of a turn. `seconds`: of the client alone. `samples`: with the rewrites before."""

    seconds: float = 0.0
    samples: list[tuple[int, Usage]] = field(default_factory=list[tuple[int, Usage]])
    compactions: list[Compacted] = field(default_factory=list[Compacted])


class Teller:
    """A session, and the user's runs and live names that its host sees in a kernel."""

    def __init__(
        self, session: Session, names: dict[str, Variable], hands: Hands, kernel: str = KERNEL
    ) -> None:
        self.session = session
        self._kernel = kernel
        self._names = names
        self._hands = hands
        self._runs = 0
        self._shown = 0

    async def tell(self, turn: Turn) -> Told:
        """Play one turn: the user's cells, the prompt, and all that follows."""
        self._hands.prepare(turn)
        said, told = self._said(turn), Told()
        started, apart = time.perf_counter(), self._hands.spent
        async with aclosing(run_turn(self.session, said)) as events:
            async for event in events:
                if isinstance(event, SampleEnded) and event.usage:
                    rewrites = self.session.conversation.history.rewrites
                    told.samples.append((rewrites, event.usage))
                elif isinstance(event, Compacted):
                    told.compactions.append(event)
        told.seconds = time.perf_counter() - started - (self._hands.spent - apart)
        for run in turn.steps:
            self._bind(run.bound)
        return told

    def _said(self, turn: Turn) -> Prompt:
        seen = tuple(self._seen(cell.cell, cell.run) for cell in turn.cells)
        snapshot = Snapshot(PLACE, self._kernel, dict(self._names), seen, self._runs)
        self._shown += 1
        return Prompt(
            turn.said,
            snapshot,
            cell=f"{self._kernel}-ask-{self._shown}",
            count=self._runs + self._shown,
        )

    def _seen(self, cell: str, run: CellRun) -> UserCellRun:
        self._runs += 1
        self._bind(run.bound)
        return UserCellRun(
            number=self._runs,
            cell=cell,
            count=self._runs + self._shown,
            source=run.source,
            status=run.status,
            outputs=run.outputs,
            bound=run.bound,
        )

    def _bind(self, names: Sequence[str]) -> None:
        for name in names:
            self._names.pop(name, None)  # the latest last
            line = f"{name}: DataFrame (365, 4) mm max wind quality"
            self._names[name] = Variable(name, line, f"{self._runs}:{self._runs}")


@dataclass(frozen=True)
class Actors:
    """The model, for the conversation and beside it, and the runner of code."""

    sample: Sample
    aside: Sample | None
    hands: Hands


def session_in(
    folder: Path, target: Target, settings: Settings, actors: Actors, names: dict[str, Variable]
) -> Session:
    """A session with a kernel's tools and its record in `folder`. `names`: changed as it plays.

    A record that is there is resumed.
    """
    path = folder / "session.jsonl"
    before = resume(path) if path.exists() else Resumed(SESSION)
    record, conversation = Record(path), before.conversation
    if not path.exists() or not path.stat().st_size:
        record.append(SessionLine(session=SESSION, cwd=str(folder)))
    outputs = OutputStore(record, before.outputs, RunLog(before.runs, before.ended))
    return Session(
        id=SESSION,
        settings=settings,
        target=target,
        tools=tools(record, outputs, conversation, actors.hands),
        seams=Seams(
            actors.sample,
            answer(Verdict(decision="deny", reason="nobody")),
            aside=actors.aside,
            variables=lambda: dict(names),
        ),
        journal=Journal(record, conversation),
        outputs=outputs,
    )


def played(folder: Path, model: Model, window: int, names: dict[str, Variable]) -> Session:
    """A session with a played model, which gets requests for notes in the background."""
    target = Target("fake", "http://127.0.0.1:9/v1", "fake-1")
    actors = Actors(model.sample, model.sample, model)
    return session_in(folder, target, Settings(window=window), actors, names)


def tools(
    record: Record, outputs: OutputStore, conversation: Conversation, hands: Hands
) -> tuple[Tool[Any], ...]:
    """Those of a kernel."""

    def holds() -> Validity:
        return validity(conversation, outputs.runs)

    return (
        run_cell_tool(hands.run_code, OUTPUT_TOKENS, outputs),
        inspect_tool(dict),
        output_tool(outputs, OUTPUT_TOKENS, lambda head: holds().hides(head)),
        recall_tool(outputs, record, OUTPUT_TOKENS, holds),
    )
