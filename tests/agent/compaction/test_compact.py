"""When the window is made shorter, who makes notes, and that it never goes round in circles."""

import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

import pytest

from inkernel.agent.compaction.budget import window_budget
from inkernel.agent.compaction.compact import preview
from inkernel.agent.conversation.resume import resume
from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.dialects.request import Request, read_by_model
from inkernel.agent.errors import ContextLengthError, ServerFaultError, TurnLimited
from inkernel.agent.protocol.events import Compacted, Compacting, Event, Notice
from inkernel.agent.protocol.items import Item
from inkernel.agent.session import Session
from inkernel.agent.testing import play
from inkernel.agent.text.tokens import estimate
from inkernel.agent.tools.tool import Tool

from .played import LONG, WINDOW, Model, Run, digest, only, said


async def turns(session: Session, run: Run, count: int) -> list[Event]:
    seen: list[Event] = []
    for number in range(count):
        events, error = await run(session, f"Question {number}?")
        assert error is None
        seen += events
    return seen


async def test_at_four_fifths_the_window_is_made_shorter_and_the_turn_says_so(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    session = session_for(model.sample, window=WINDOW)
    seen = await turns(session, run, 8)
    done: list[Compacted] = only(seen, Compacted)
    assert done and len(only(seen, Compacting)) == len(done)
    for event in done:
        assert event.before >= 0.8 * WINDOW
        assert event.after <= 0.36 * WINDOW + 100
        assert event.notes == "model"
    assert "## State\nHalf done." in digest(session)
    assert "- [ ] go on" in digest(session)


async def test_the_request_for_notes_is_the_conversation_and_one_instruction(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    session = session_for(model.sample, window=WINDOW + 250)
    await turns(session, run, 6)
    asked = model.asked[0]
    before = next(body for body in reversed(model.requests) if asked.startswith(body))
    rest = json.loads(b"[" + asked[len(before) + 1 :] + b"]")
    assert [item["role"] for item in rest] == ["assistant", "user"]
    assert "Answer with one JSON object" in rest[-1]["content"][0]["text"]


async def test_notes_are_made_beside_the_conversation_before_they_are_needed(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    session = session_for(model.sample, window=WINDOW)
    session = replace(session, seams=replace(session.seams, aside=model.aside))
    asked, done = 0, list[Compacted]()
    while not done:
        events, _ = await run(session, "And then?")
        done = only(events, Compacted)
        if not done and session.conversation.preparing:
            await session.conversation.preparing.task
            asked = len(model.asked)
    assert asked == len(model.asked) == 1  # nobody waited: they were there
    assert done[0].notes == "model"


async def test_when_the_model_fails_the_rest_is_a_digest(
    session_for: Callable[..., Session], run: Run
):
    model = Model(ServerFaultError("Out of order."))
    session = session_for(model.sample, window=WINDOW)
    seen = await turns(session, run, 6)
    assert {event.notes for event in only(seen, Compacted)} == {"none"}
    assert "> Question 0?" in digest(session) and "## State" not in digest(session)


async def test_earlier_notes_are_taken_over_when_new_ones_fail(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    session = session_for(model.sample, window=WINDOW)
    await turns(session, run, 6)
    model.notes = "I would rather go on with the task."
    seen = await turns(session, run, 6)
    assert {event.notes for event in only(seen, Compacted)} == {"earlier"}
    assert "Half done." in digest(session)


async def test_what_notes_took_is_a_part_of_what_the_session_took(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    session = session_for(model.sample, window=WINDOW)
    seen = await turns(session, run, 6)
    ended = sum(event.usage.input for event in seen if event.event == "turn_ended")
    assert ended == session.conversation.usage.input


async def test_a_request_that_is_refused_as_too_long_is_made_shorter_once(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    session = session_for(model.sample)  # nobody knows the window
    await turns(session, run, 5)
    model.limit = 4_000
    events, error = await run(session, "And now?")
    assert error is None
    assert [event.overflow for event in only(events, Compacting)] == [True]
    assert session.conversation.window is not None
    assert 4_000 < session.conversation.window < 8_000
    seen = await turns(session, run, 6)
    assert only(seen, Compacted) and not any(it.overflow for it in only(seen, Compacting)[1:])


def resumed(session: Session) -> Session:
    """The session as its record tells it."""
    found = resume(session.journal.record.path)
    return replace(session, journal=replace(session.journal, conversation=found.conversation))


async def test_a_resumed_session_counts_as_the_server_did(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    model.counts = 0.6  # of what we count
    session = session_for(model.sample, window=WINDOW)
    fixed = estimate(session.fields())
    while session.conversation.history.tokens + fixed < 0.9 * WINDOW:
        await run(session, "Question?")
    again = resumed(session)
    assert session.conversation.size(fixed) < 0.75 * WINDOW
    assert again.conversation.size(fixed) == session.conversation.size(fixed)
    assert window_budget(again, again.fields()) == window_budget(session, session.fields())
    events, _ = await run(again, "Hello")
    assert not only(events, Compacting)


async def test_a_resumed_session_knows_the_window_that_a_refusal_taught(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    session = session_for(model.sample)
    await turns(session, run, 5)
    model.limit = 4_000
    await run(session, "And now?")
    learned = session.conversation.window
    again = resumed(session)
    assert again.conversation.window == learned is not None
    await run(again, "And then?")
    assert again.conversation.window == learned
    other = replace(again, target=replace(again.target, model="fake-2"))
    await run(other, "And you?")
    assert other.conversation.window is None


async def test_a_request_that_is_refused_again_is_the_servers_error(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    session = session_for(model.sample)
    await turns(session, run, 4)
    model.limit, before = 10, len(model.requests)
    events, error = await run(session, "And now?")
    assert isinstance(error, ContextLengthError) and error.message == "Too long."
    assert len(model.requests) == before + 3  # the request, the notes, the request once more
    assert len(only(events, Compacted)) == 1


async def test_a_window_smaller_than_the_fixed_prompt_is_said_before_anything_is_sent(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    session = session_for(model.sample, window=300)
    _, error = await run(session)
    assert isinstance(error, ContextLengthError)
    assert "Instructions and tools alone take about" in error.message and "300" in error.message
    assert model.requests == []


async def test_what_cannot_be_left_out_and_does_not_fit_is_said_and_nothing_is_sent(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    session = session_for(model.sample, window=WINDOW)
    _, error = await run(session, LONG * 10)
    assert isinstance(error, ContextLengthError)
    assert "cannot be made shorter" in error.message and "%agent rewind turn 1" in error.hint
    assert model.requests == [] and model.asked == []


async def test_after_a_prompt_that_did_not_fit_the_next_turn_makes_room_for_itself(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    session = session_for(model.sample, window=WINDOW)
    await turns(session, run, 2)
    _, error = await run(session, LONG * 10)
    assert isinstance(error, ContextLengthError)
    for _ in range(3):
        before = len(model.requests)
        _, error = await run(session, "And now?")
        assert error is None and len(model.requests) == before + 1
        assert session.conversation.history.tokens < WINDOW
        assert estimate(model.requests[-1].decode()) <= WINDOW


async def test_nothing_over_the_window_is_sent_though_another_compaction_is_useless(
    session_for: Callable[..., Session],
    run: Run,
    tool: Callable[..., Tool[Any]],
    call: Callable[..., Item],
):
    sizes: list[int] = []

    async def sample(request: Request) -> AsyncGenerator[SamplePart]:
        session.conversation.stuck = 10 * WINDOW  # as a useless compaction leaves it
        sizes.append(session.conversation.size(estimate(read_by_model(request.fields))))
        yield call("look", f"c{len(sizes)}")
        yield ResponseDone(None)

    async def look(_id: str, _word: str) -> str:
        return "word " * 400

    session = session_for(sample, tool("look", look, True))
    settings = session.settings.model_copy(update={"window": WINDOW})
    seams = replace(session.seams, aside=Model().aside)
    session = replace(session, settings=settings, seams=seams)
    _, error = await run(session, LONG * 4)
    assert isinstance(error, ContextLengthError | TurnLimited)
    assert max(sizes) <= WINDOW


async def test_what_can_hardly_be_made_shorter_is_said_once_and_not_tried_at_each_step(
    session_for: Callable[..., Session],
    run: Run,
    tool: Callable[..., Tool[Any]],
    call: Callable[..., Item],
):
    steps = [[call("look", f"c{n}"), ResponseDone(None)] for n in range(5)]
    session = session_for(
        play([*steps, [said("Done."), ResponseDone(None)]]), tool("look", None, True)
    )
    settings = session.settings.model_copy(update={"window": WINDOW})
    session = replace(session, settings=settings, seams=replace(session.seams, aside=Model().aside))
    events, error = await run(session, LONG * 4 + "word " * 200)
    assert error is None
    assert len(only(events, Compacted)) == 1
    assert len([it for it in only(events, Notice) if "cannot be made shorter" in it.text]) == 1


async def test_a_preview_changes_nothing(session_for: Callable[..., Session], run: Run):
    model = Model()
    session = session_for(model.sample, window=100_000)
    await turns(session, run, 4)
    record = session.journal.record.path.read_bytes()
    wire, asked = bytes(session.conversation.history.wire), len(model.asked)
    done = preview(session, session.fields(), "asked")
    assert done.tokens < session.conversation.history.tokens
    assert bytes(session.conversation.history.wire) == wire and len(model.asked) == asked
    assert session.journal.record.path.read_bytes() == record


@pytest.mark.parametrize(("at", "to"), [(0.5, 0.2), (0.9, 0.5)])
async def test_both_thresholds_are_settings(
    session_for: Callable[..., Session], run: Run, at: float, to: float
):
    session = session_for(Model().sample, window=8_000, compact_at=at, compact_to=to)
    done: list[Compacted] = only(await turns(session, run, 12), Compacted)
    assert done
    assert all(event.before >= at * 8_000 for event in done)
    assert all(event.after <= max(to, 0.35) * 8_000 for event in done)
