"""Any sequence of cells, turns, compactions, marks, rewinds and resumes keeps what we promise."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from inkernel.agent.compaction.compact import compact_now
from inkernel.agent.compaction.marks import conceal, edit, go_back, hide, named, pin, show
from inkernel.agent.config.settings import Settings
from inkernel.agent.context.changes import Environment, Snapshot
from inkernel.agent.conversation.history import Entry
from inkernel.agent.conversation.journal import Journal
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.resume import resume
from inkernel.agent.conversation.runs import RunLog
from inkernel.agent.conversation.state import Conversation
from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.dialects.request import Request
from inkernel.agent.errors import ServerFaultError, UsageError
from inkernel.agent.loop import turn
from inkernel.agent.protocol.actions import Verdict
from inkernel.agent.protocol.cells import CellRun, StreamOutput
from inkernel.agent.protocol.events import Usage
from inkernel.agent.protocol.items import FunctionCall, FunctionCallOutput, Message, parse_item
from inkernel.agent.protocol.observed import UserCellRun, Variable
from inkernel.agent.protocol.record_lines import OtherLine
from inkernel.agent.protocol.verbatim_json import loads
from inkernel.agent.providers.resolve import Target
from inkernel.agent.seams import Seams
from inkernel.agent.session import Prompt, Session
from inkernel.agent.testing import answer
from inkernel.agent.text.tokens import estimate
from inkernel.agent.tools.run_cell import RunCell, run_cell_tool
from inkernel.agent.tools.tool import ToolCall

PLACE = Environment("/home/ada/rain", "2026-03-01", "Europe/Berlin", "3.12.4")
WINDOW = 6_000
NOTES = {
    "state": "Half done.",
    "plan": [{"text": "plot it", "done": False}],
    "facts": [{"text": "the mean is 3.25", "from": ["out-1"]}],
}


class Model:
    """Plays what it is told to: so many calls, then an answer; notes, or none."""

    def __init__(self) -> None:
        self.calls = 0
        self.lines = 1
        self.notes = True
        self.made = 0
        self.requests: list[bytes] = []

    async def sample(self, request: Request) -> AsyncGenerator[SamplePart]:
        """One response; the window is never overrun."""
        items = bytes(request.items[: request.end])
        size = estimate(request.fields) + estimate(items)
        assert size <= WINDOW
        usage = Usage(input=size, output=10)
        asked = loads(b"[" + items + b"]")[-1]
        if asked["type"] == "message" and "about to be shortened" in asked["content"][0]["text"]:
            if not self.notes:
                raise ServerFaultError("Out of order.")
            yield said_by_model(json.dumps(NOTES))
        else:
            self.requests.append(items)
            for item in self._response():
                yield item
        yield ResponseDone(usage=usage, response_id=None)

    def _response(self) -> list[Any]:
        self.made += 1
        if not self.calls:
            return [said_by_model(f"Answer {self.made}.")]
        self.calls -= 1
        code = f"print('{self.made}')\n" * self.lines
        thought = {"type": "reasoning", "id": f"r{self.made}", "summary": []}
        call = {"type": "function_call", "call_id": f"c{self.made}", "name": "run_cell"}
        arguments = json.dumps({"title": "look", "code": code})
        return [parse_item(thought), parse_item({**call, "arguments": arguments})]


def said_by_model(text: str) -> Message:
    part = {"type": "output_text", "text": text, "annotations": []}
    item = parse_item({"type": "message", "role": "assistant", "content": [part]})
    assert isinstance(item, Message)
    return item


async def run_code(call: ToolCall, step: RunCell) -> CellRun:
    code = step.code
    shown = StreamOutput(name="stdout", text=f"out of {call.id}\n" * (1 + len(code) // 15))
    return CellRun(source=code, status="ok", outputs=(shown,), bound=(f"v_{call.id}",))


# Named, since older versions of Hypothesis describe a lambda by parsing its source again and again.
def _has_entries(machine: "Conversations") -> bool:
    return bool(machine.session.conversation.history.entries)


def _has_turns(machine: "Conversations") -> bool:
    return bool(machine.session.conversation.heads)


def _has_runs(machine: "Conversations") -> bool:
    return bool(machine.session.outputs.runs.heads)


class Conversations(RuleBasedStateMachine):
    """A session, what was seen of it, and what must hold of it at any time."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.model = Model()
        self.cells: list[UserCellRun] = []
        self.names: dict[str, Variable] = {}
        self.before: dict[int, bytes] = {}
        self.said: list[str] = []
        self.kept: dict[str, str] = {}
        self.secret: set[str] = set()
        record = Record(self.folder / "s.jsonl")
        record.append(OtherLine("session", {"session": "s", "cwd": "/"}))
        self.session = self._session(record, OutputStore(record), Conversation())

    def _session(self, record: Record, outputs: OutputStore, conversation: Conversation) -> Session:
        return Session(
            id="s",
            settings=Settings(window=WINDOW, output_tokens=600),
            target=Target("fake", "http://127.0.0.1:9/v1", "fake-1"),
            tools=(run_cell_tool(run_code, 600, outputs),),
            seams=Seams(
                self.model.sample,
                answer(Verdict(decision="deny", reason="nobody")),
                variables=lambda: dict(self.names),
            ),
            journal=Journal(record, conversation),
            outputs=outputs,
        )

    @property
    def waiting(self) -> tuple[UserCellRun, ...]:
        """What is to be told next, as a host sees it."""
        told = self.session.conversation.told.run
        return tuple(run for run in self.cells if run.number > told)

    @rule(cell=st.integers(0, 4), lines=st.integers(1, 40))
    def run_a_cell(self, cell: int, lines: int) -> None:
        number = len(self.cells) + 1
        name = f"x{cell}"
        run = UserCellRun(
            number=number,
            cell=f"cell-{cell}",
            count=number,
            source=f"{name} = load({number})\nshow({name})",
            status="ok",
            outputs=(StreamOutput(name="stdout", text=f"shown by {number}\n" * lines),),
            bound=(name,),
        )
        self.cells.append(run)
        self.names[name] = Variable(name, f"{name}: int {number}", str(number))

    @rule(
        calls=st.integers(0, 4), lines=st.integers(1, 20), again=st.booleans(), notes=st.booleans()
    )
    def say(self, calls: int, lines: int, again: bool, notes: bool) -> None:
        self.model.calls, self.model.lines, self.model.notes = calls, lines, notes
        self.model.requests.clear()
        conversation = self.session.conversation
        before, rewrites = bytes(conversation.history.wire), conversation.history.rewrites
        self.before[conversation.turns + 1] = before
        text = f"Do the thing number {conversation.turns + 1}, please."
        cell = "ask-0" if again else f"ask-{conversation.turns + 1}"
        last = self.cells[-1].number if self.cells else 0
        seen = Snapshot(PLACE, "k", dict(self.names), self.waiting, last)
        asyncio.run(self._drain(Prompt(text, seen, cell=cell, count=1000 + conversation.turns)))
        self.said.append(text)
        if conversation.history.rewrites == rewrites:
            assert bytes(conversation.history.wire).startswith(before)
            sent = [before, *self.model.requests, bytes(conversation.history.wire)]
            assert all(later.startswith(earlier) for earlier, later in pairwise(sent))

    async def _drain(self, said: Prompt) -> None:
        async for _ in turn(self.session, said):
            pass

    @precondition(_has_entries)
    @rule(notes=st.booleans())
    def compact(self, notes: bool) -> None:
        self.model.notes = notes
        before = self.session.conversation.history.tokens

        async def drain() -> None:
            async for _ in compact_now(self.session, self.session.fields()):
                pass

        asyncio.run(drain())
        assert self.session.conversation.history.tokens <= before

    @precondition(_has_turns)
    @rule(data=st.data())
    def rewind(self, data: st.DataObject) -> None:
        head = data.draw(st.sampled_from(self.session.conversation.heads))
        note(f"to before turn {head.turn}")
        gone = go_back(self.session, named(self.session, f"turn {head.turn}"))
        self.resume()
        conceal(self.session, self.session.fields())
        if not self.secret:
            assert bytes(self.session.conversation.history.wire) == self.before[gone.turn]

    @rule()
    def resume(self) -> None:
        self.session.journal.record.close()
        record = Record(self.folder / "s.jsonl")
        found = resume(record.path)
        outputs = OutputStore(record, found.outputs, RunLog(found.runs, found.ended))
        self.session = self._session(record, outputs, found.conversation)

    @precondition(_has_runs)
    @rule(data=st.data(), mark=st.sampled_from(["pin", "unpin", "show"]))
    def mark(self, data: st.DataObject, mark: str) -> None:
        head = data.draw(st.sampled_from(self.session.outputs.runs.heads))
        cells = named(self.session, head.handle)
        if mark == "show":
            show(self.session, cells)
            self.secret -= set(cells.keys)
        else:
            pin(self.session, cells, pinned=mark == "pin")

    @precondition(_has_runs)
    @rule(data=st.data())
    def hide(self, data: st.DataObject) -> None:
        people = [head for head in self.session.outputs.runs.heads if head.by == "person"]
        if people:
            cells = named(self.session, data.draw(st.sampled_from(people)).handle)
            hide(self.session, cells, self.session.fields())
            self.secret |= set(cells.keys)

    @rule(more=st.sampled_from(["## Mine\nkeep this", "no title"]))
    def edit_the_digest(self, more: str) -> None:
        digest = self.session.conversation.digest
        with suppress(UsageError):
            inner = digest.text.removesuffix("</digest>") if digest else ""
            edit(self.session, f"{inner}\n{more}\n</digest>")

    @invariant()
    def the_record_tells_the_window_to_the_byte(self) -> None:
        lived, found = self.session.conversation, resume(self.session.journal.record.path)
        assert bytes(found.conversation.history.wire) == bytes(lived.history.wire)
        assert found.conversation.history.numbers == lived.history.numbers
        assert found.conversation.history.made == lived.history.made
        assert [e.run for e in found.conversation.history.entries] == [
            e.run for e in lived.history.entries
        ]
        assert (found.conversation.digest, found.conversation.marks) == (lived.digest, lived.marks)
        assert (found.conversation.turns, found.conversation.heads, found.conversation.usage) == (
            lived.turns,
            lived.heads,
            lived.usage,
        )
        assert found.runs == self.session.outputs.runs.heads

    @invariant()
    def calls_and_outputs_are_in_pairs(self) -> None:
        open_calls: set[str] = set()
        for entry in self.session.conversation.history.entries:
            if isinstance(entry.item, FunctionCall):
                open_calls.add(entry.item.call_id)
            elif isinstance(entry.item, FunctionCallOutput):
                open_calls.remove(entry.item.call_id)
        assert not open_calls

    @invariant()
    def every_run_can_be_read_verbatim(self) -> None:
        outputs = self.session.outputs
        for head in outputs.runs.heads:
            text = outputs.lines(head.handle).text
            assert self.kept.setdefault(head.handle, text) == text
            assert head.line in text

    @invariant()
    def what_was_said_last_is_in_the_window_as_it_was_said(self) -> None:
        conversation = self.session.conversation
        said = [entry for entry in conversation.history.entries if entry.kind == "said"]
        if conversation.heads and conversation.heads[-1].turn == conversation.turns:
            assert said and said[-1].turn == conversation.turns
            assert isinstance(said[-1].item, Message)
            assert said[-1].item.text == f"Do the thing number {conversation.turns}, please."

    @invariant()
    def no_run_in_the_window_was_superseded_unsaid(self) -> None:
        entries = self.session.conversation.history.entries
        for at, entry in enumerate(entries):
            if entry.run and not self._is_current(entry, entries[at + 1 :]):
                raise AssertionError(f"{entry.run} is presented as current")

    def _is_current(self, entry: Entry, after: list[Entry]) -> bool:
        """It is, or it says that it is not, or what comes later says so, or it waits to be told."""
        later = self.session.outputs.runs.superseded_by(entry.run)
        if later is None or b"superseded by" in entry.item.wire:
            return True
        head = self.session.outputs.runs.get(entry.run)
        said = b"".join(it.item.wire for it in after)
        keys = self.secret | {run.cell or "" for run in self.waiting}
        return str(entry.run).encode() in said or (head is not None and head.key in keys)

    @invariant()
    def nothing_hidden_is_in_the_window(self) -> None:
        wire = bytes(self.session.conversation.history.wire)
        for head in self.session.outputs.runs.heads:
            if head.key in self.secret:
                assert head.line.encode() not in wire

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.session.journal.record.close()
            shutil.rmtree(self.folder)


TestConversations = Conversations.TestCase
TestConversations.settings = settings(
    phases=[Phase.generate, Phase.reuse, Phase.explicit],
    max_examples=100,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
