"""How a turn ends early: stopped, left alone by its host, or with a record that fails."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.context.changes import Environment, Snapshot
from inkernel.agent.conversation.journal import INTERRUPTED
from inkernel.agent.conversation.record import Record
from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.dialects.request import Request
from inkernel.agent.errors import RecordError, ServerFaultError
from inkernel.agent.loop import turn
from inkernel.agent.protocol.actions import Answer, Question, Verdict
from inkernel.agent.protocol.events import Event, TurnEnded
from inkernel.agent.protocol.items import parse_item
from inkernel.agent.session import Prompt, Session
from inkernel.agent.testing import play

Run = Callable[..., Awaitable[tuple[list[Event], BaseException | None]]]
Make = Callable[..., Any]
END = ResponseDone(None)
THOUGHT = parse_item({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"})


def wires(session: Session) -> list[Any]:
    return [json.loads(entry.item.wire) for entry in session.conversation.history.entries]


def last(events: list[Event]) -> TurnEnded:
    """The end of a turn, which is its last event and its only end."""
    assert [event.event for event in events].count("turn_ended") == 1
    assert isinstance(events[-1], TurnEnded)
    return events[-1]


class Stuck:
    """A session that comes to wait at one place, for ever; `there` is set when it does."""

    def __init__(self, where: str, session_for: Make, say: Make, call: Make, tool: Make) -> None:
        self.where = where
        self.there = asyncio.Event()
        self.left = asyncio.Event()
        self._parts = [call("read", "a"), call("write", "b"), call("write", "c")]
        self._say = say
        self.session: Session = session_for(
            self.sample,
            tool("read", self.read, reads_only=True),
            tool("write", self.write),
            policy="ask",
            approve=self.approve,
        )

    async def reach(self, where: str) -> None:
        if where == self.where and not self.there.is_set():
            self.there.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.left.set()

    async def sample(self, request: Request) -> AsyncGenerator[SamplePart]:
        await self.reach("request")
        if self.where == "retry" and not self.there.is_set():
            self.there.set()
            self.left.set()
            raise ServerFaultError("Busy.", after=100)
        if b'"call_id":"c","output"' in request.items or b'"text":"Again."' in request.items:
            yield self._say("Yes.")
        else:
            for part in self._parts:
                yield part
                await self.reach("stream")
        yield END

    async def read(self, call_id: str, word: str) -> str:
        await self.reach("read")
        return ""

    async def write(self, call_id: str, word: str) -> str:
        await self.reach("write")
        return ""

    async def approve(self, _question: Question) -> Answer:
        await self.reach("approval")
        return Answer(verdict=Verdict(decision="allow", reason="yes", by="user"))


@pytest.mark.parametrize("where", ["request", "stream", "read", "write", "approval", "retry"])
async def test_a_cancelled_turn_closes_its_calls_ends_and_the_next_goes_on(
    session_for: Make, say: Make, call: Make, tool: Make, run: Run, where: str
):
    stuck = Stuck(where, session_for, say, call, tool)
    running = asyncio.create_task(run(stuck.session))
    await asyncio.wait_for(stuck.there.wait(), 10)
    running.cancel()
    events, error = await asyncio.wait_for(running, 10)
    assert isinstance(error, asyncio.CancelledError)
    assert last(events).status == "interrupted"
    assert stuck.left.is_set()
    assert stuck.session.conversation.history.open_calls == ()
    made = [item["call_id"] for item in wires(stuck.session) if item["type"] == "function_call"]
    closed = [item for item in wires(stuck.session) if item["type"] == "function_call_output"]
    assert [item["call_id"] for item in closed] == made
    assert all(item["output"] in ("", INTERRUPTED) for item in closed)
    events, error = await run(stuck.session, "Again.")
    assert error is None
    assert last(events).answer == "Yes."


@pytest.mark.parametrize("where", ["request", "stream", "read", "write", "retry"])
async def test_the_end_of_a_turn_says_who_cancelled_it(
    session_for: Make, say: Make, call: Make, tool: Make, run: Run, where: str
):
    for words in ((), ("You interrupted the turn.",)):
        stuck = Stuck(where, session_for, say, call, tool)
        running = asyncio.create_task(run(stuck.session))
        await asyncio.wait_for(stuck.there.wait(), 10)
        running.cancel(*words)
        events, _ = await asyncio.wait_for(running, 10)
        assert last(events).error == (words[0] if words else "The turn was cancelled.")


async def test_a_host_that_leaves_after_any_event_leaves_no_call_open(
    session_for: Make, say: Make, call: Make, tool: Make, place: Environment
):
    async def sample(request: Request) -> AsyncGenerator[SamplePart]:
        sampling.append(request)
        try:
            if b"function_call_output" not in request.items:
                for item in (THOUGHT, call("read", "a"), call("write", "b"), call("write", "c")):
                    yield item
            else:
                yield say("Yes.")
            yield END
        finally:
            sampling.pop()

    async def wait(call_id: str, word: str) -> str:
        reading.append(call_id)
        try:
            await asyncio.sleep(0)
        finally:
            reading.remove(call_id)
        return ""

    sampling: list[bytes] = []
    reading: list[str] = []
    whole, seen = False, 0
    while not whole:
        session = session_for(sample, tool("read", wait, reads_only=True), tool("write"))
        whole, seen = True, seen + 1
        async with aclosing(turn(session, Prompt("Go.", Snapshot(place)))) as events:
            for _ in range(seen):
                if (event := await anext(events, None)) is None:
                    break
            else:
                whole = event is not None and event.event == "turn_ended"
        assert session.conversation.history.open_calls == ()
        assert sampling == []
        await asyncio.sleep(0)
        assert reading == []
    assert seen > 15


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full disk")
async def test_a_disk_that_is_full_ends_the_turn_as_failed(
    session_for: Make, call: Make, tool: Make, run: Run
):
    session = session_for(play([[call("t", "a"), call("t", "b"), END]]), tool("t"))
    full = Record(Path("/dev/full"))
    events, error = await run(replace(session, journal=replace(session.journal, record=full)))
    full.close()
    assert isinstance(error, RecordError)
    assert last(events).status == "failed"
    assert last(events).error == error.message


@pytest.mark.parametrize("fails_at", range(1, 11))
async def test_a_record_that_fails_at_any_line_leaves_no_call_open_and_ends_the_turn(
    session_for: Make,
    call: Make,
    tool: Make,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    fails_at: int,
):
    lines = 0

    def write(record: Record, line: bytes) -> None:
        nonlocal lines
        lines += 1
        if lines >= fails_at:
            raise RecordError("The disk is full.")

    monkeypatch.setattr(Record, "_write", write)
    session = session_for(play([[call("t", "a"), call("t", "b"), END], [END]]), tool("t"))
    events, error = await run(session)
    assert isinstance(error, RecordError)
    assert last(events).status == "failed"
    assert session.conversation.history.open_calls == ()
