"""The tokens of answers that were cut, withdrawn, refused or interrupted: they cost, too."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from inkernel.agent.context.changes import Environment, Snapshot
from inkernel.agent.conversation.record import Record
from inkernel.agent.dialects.dialect import Counted, ResponseDone, SamplePart
from inkernel.agent.dialects.request import Request
from inkernel.agent.errors import (
    AnswerRefusedError,
    IncompleteError,
    ModelError,
    RecordError,
    ServerFaultError,
    StreamBrokenError,
)
from inkernel.agent.loop import turn
from inkernel.agent.protocol.events import Event, TextDelta, TurnEnded, Usage
from inkernel.agent.session import Prompt, Session
from inkernel.agent.testing import play
from inkernel.agent.transport import retry

Run = Callable[..., Awaitable[tuple[list[Event], BaseException | None]]]
Make = Callable[..., Any]
USED = Usage(input=5_000, output=10)
HALF = TextDelta(text="Half an answer is said here. " * 20)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0)
    monkeypatch.setattr(retry, "QUICK_WAIT", 0)


def spent_in(events: list[Event], session: Session) -> Usage:
    ended = events[-1]
    assert isinstance(ended, TurnEnded)
    assert ended.usage == session.conversation.usage
    return ended.usage


async def test_what_we_count_of_a_broken_answer_is_added_and_marked(
    session_for: Make, say: Make, run: Run
):
    broken: list[SamplePart | ModelError] = [HALF, StreamBrokenError("Cut.")]
    session = session_for(
        play([broken, [say("Whole."), ResponseDone(USED)]]), price_input=1, price_output=10
    )
    events, error = await run(session)
    used = spent_in(events, session)
    assert error is None and used.estimated > 100
    assert used.input + used.output == USED.input + USED.output + used.estimated
    assert events[-1].cost == pytest.approx((used.input + 10 * used.output) / 1e6)


async def test_a_record_that_fails_as_a_sample_is_cancelled_is_told_and_the_turn_is_cancelled(
    session_for: Make, place: Environment, monkeypatch: pytest.MonkeyPatch
):
    def full(_record: Record, _line: bytes) -> None:
        raise RecordError("The disk is full.")

    async def sample(_request: Request) -> AsyncGenerator[SamplePart]:
        yield HALF
        monkeypatch.setattr(Record, "_write", full)
        running.cancel()
        await asyncio.sleep(9)

    async def drain() -> None:
        async for event in turn(session_for(sample), Prompt("Go.", Snapshot(place))):
            events.append(event)

    events: list[Event] = []
    running = asyncio.ensure_future(drain())
    with pytest.raises(asyncio.CancelledError):
        await running
    assert isinstance(events[-1], TurnEnded) and events[-1].status == "interrupted"
    assert "The disk is full." in str(events[-2])


@pytest.mark.parametrize("error", [IncompleteError("Cut."), AnswerRefusedError("No.")])
async def test_what_the_server_counted_of_an_answer_that_failed_is_added_as_it_is(
    session_for: Make, run: Run, error: ModelError
):
    told = Usage(input=4_000, cached=3_000, output=200)
    session = session_for(play([[HALF, Counted(told), error]]))
    events, failed = await run(session)
    assert failed is error and spent_in(events, session) == told


async def test_a_failure_before_an_answer_costs_nothing(session_for: Make, say: Make, run: Run):
    session = session_for(play([[ServerFaultError("x")], [say("Yes."), ResponseDone(USED)]]))
    events, _ = await run(session)
    assert spent_in(events, session) == USED


async def test_an_interrupted_answer_costs_what_was_said(session_for: Make, run: Run):
    async def sample(_: Request) -> AsyncGenerator[SamplePart]:
        yield HALF
        raise asyncio.CancelledError

    session = session_for(sample)
    events, _ = await run(session)
    used = spent_in(events, session)
    assert used.output > 100 and used.estimated == used.input + used.output
