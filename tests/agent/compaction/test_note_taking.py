"""Notes help a compaction and never hold a turn: who waits for them, how long, and how often."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

import pytest

from inkernel.agent.compaction.compact import compact_now
from inkernel.agent.compaction.note_taking import NOTES_SECONDS, WAIT_SECONDS, ready_notes
from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.dialects.request import Request
from inkernel.agent.protocol.events import Compacted, Event
from inkernel.agent.protocol.items import Item
from inkernel.agent.session import Session
from inkernel.agent.testing import play
from inkernel.agent.text.masking import Mask
from inkernel.agent.tools.tool import Tool

from .played import LONG, WINDOW, Model, Run, digest, only, said

WAIT = "inkernel.agent.compaction.compact.WAIT_SECONDS"


class Stalled(Model):
    """Does not answer when it is asked for notes, as long as `stalls`. `waits`: it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.stalls = True
        self.waits = asyncio.Event()

    async def aside(self, request: Request) -> AsyncGenerator[SamplePart]:
        if self.stalls:
            self.asked.append(b"")
            self.waits.set()
            await asyncio.Event().wait()
        async for part in super().aside(request):
            yield part


@pytest.fixture
def stalled(session_for: Callable[..., Session]) -> tuple[Session, Stalled]:
    """A session whose notes are asked for in the background, and do not come."""
    model = Stalled()
    session = session_for(model.sample, window=WINDOW)
    return replace(session, seams=replace(session.seams, aside=model.aside)), model


async def next_compaction(session: Session, run: Run) -> Compacted:
    """Run turns until one makes room."""
    seen: list[Event] = []
    while not only(seen, Compacted):
        seen, error = await run(session, "And then?")
        assert error is None
    return only(seen, Compacted)[0]


async def until_notes_are_begun(session: Session, run: Run, model: Stalled) -> None:
    """Run turns until notes are asked for in the background."""
    while not session.conversation.preparing:
        await run(session, "And then?")
    await model.waits.wait()


async def still_asking() -> bool:
    """Whether a task that asks for notes goes on."""
    await asyncio.sleep(0)
    return any("take_notes" in f"{task.get_coro()}" for task in asyncio.all_tasks())


def test_a_turn_waits_ten_seconds_at_most_and_a_person_who_asks_waits_longer():
    assert WAIT_SECONDS <= 10 < NOTES_SECONDS


async def test_a_compaction_goes_on_without_notes_that_do_not_come(
    stalled: tuple[Session, Stalled], run: Run, monkeypatch: pytest.MonkeyPatch
):
    session, model = stalled
    monkeypatch.setattr(WAIT, 0.01)
    done = await next_compaction(session, run)
    assert done.notes == "none" and done.after < done.before
    assert "> And then?" in digest(session)
    assert not await still_asking()
    assert len(model.asked) == 1


async def test_notes_that_failed_are_asked_for_again_in_the_next_window_and_hold_nobody(
    stalled: tuple[Session, Stalled], run: Run, monkeypatch: pytest.MonkeyPatch
):
    session, model = stalled
    monkeypatch.setattr(WAIT, 0.01)
    await next_compaction(session, run)
    monkeypatch.setattr(WAIT, 10_000)
    assert (await next_compaction(session, run)).notes == "none"
    assert len(model.asked) == 2
    model.stalls = False
    assert (await next_compaction(session, run)).notes == "model"
    assert len(model.asked) == 3


async def test_an_answer_without_notes_is_not_asked_for_twice(
    stalled: tuple[Session, Stalled], run: Run
):
    session, model = stalled
    model.stalls, model.notes = False, "I would rather go on with the task."
    assert (await next_compaction(session, run)).notes == "none"
    assert len(model.asked) == 1


async def test_notes_that_nothing_needs_are_not_awaited(
    session_for: Callable[..., Session],
    run: Run,
    tool: Callable[..., Tool[Any]],
    call: Callable[..., Item],
    monkeypatch: pytest.MonkeyPatch,
):
    async def long(_call_id: str, _word: str) -> str:
        return LONG

    model = Stalled()
    monkeypatch.setattr(WAIT, 10_000)
    steps = [[call("look", f"c{n}"), ResponseDone(None)] for n in range(4)]
    answer = [said("Done."), ResponseDone(None)]
    look = tool("look", long, True)
    session = session_for(play([*steps, answer]), look, window=WINDOW, compact_to=0.6)
    session = replace(session, seams=replace(session.seams, aside=model.aside))
    events, error = await run(session)
    assert error is None
    assert [it.notes for it in only(events, Compacted)] == ["unasked"]
    assert model.waits.is_set() and not await still_asking()


async def test_an_interrupt_ends_the_wait_for_notes_and_the_next_turn_has_none(
    session_for: Callable[..., Session], run: Run
):
    model = Stalled()
    session = session_for(model.sample, window=WINDOW)
    turn = asyncio.create_task(next_compaction(session, run))
    await model.waits.wait()
    turn.cancel()
    with pytest.raises((asyncio.CancelledError, AssertionError)):
        await turn
    assert not await still_asking()
    assert session.conversation.digest is None
    assert (await next_compaction(session, run)).notes == "none"
    assert len(model.asked) == 1


async def test_an_interrupt_of_anything_else_ends_the_asking_until_the_next_turn(
    stalled: tuple[Session, Stalled], run: Run
):
    session, model = stalled
    await until_notes_are_begun(session, run, model)
    model.waits.clear()
    hangs = replace(session, seams=replace(session.seams, sample=model.aside))
    turn = asyncio.create_task(run(hangs, "And then?"))
    await model.waits.wait()
    turn.cancel()
    await turn
    assert not await still_asking()
    model.stalls = False
    assert (await next_compaction(session, run)).notes == "model"


async def test_a_person_who_asks_for_a_compaction_gets_notes_though_some_failed_before(
    stalled: tuple[Session, Stalled], run: Run, monkeypatch: pytest.MonkeyPatch
):
    session, model = stalled
    monkeypatch.setattr(WAIT, 0.01)
    await next_compaction(session, run)
    await until_notes_are_begun(session, run, model)
    await run(session, "And what else?")
    model.stalls = False
    events = [it async for it in compact_now(session, session.fields())]
    assert only(events, Compacted)[0].notes == "model"
    assert not await still_asking()


async def test_words_on_what_matters_end_the_request_for_notes_even_if_some_were_ready(
    stalled: tuple[Session, Stalled], run: Run
):
    session, model = stalled
    model.stalls = False
    while not ready_notes(session.conversation):
        await run(session, "And then?")
        await asyncio.sleep(0.001)
    session.journal.record.mask = Mask({"sk-secret-0123456789"})
    words = "keep the schema decisions, and sk-secret-0123456789"
    events = [it async for it in compact_now(session, session.fields(), words)]
    assert only(events, Compacted)[0].notes == "model"
    first, second = model.asked
    assert b"says what matters" not in first
    assert b"what matters most: keep the schema decisions, and" in second[-200:]
    assert b"sk-secret" not in second
