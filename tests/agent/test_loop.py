"""A turn: from what was said to the answer, however it ends."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.config.project import Doc
from inkernel.agent.context.changes import Environment, Snapshot
from inkernel.agent.conversation.record import read_lines
from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.dialects.request import Request
from inkernel.agent.errors import (
    AgentError,
    AnswerRefusedError,
    AuthError,
    ContextLengthError,
    IncompleteError,
    ModelError,
    ProtocolError,
    QuotaError,
    ServerFaultError,
    StreamBrokenError,
    TurnLimited,
    UnreachableError,
)
from inkernel.agent.loop import turn
from inkernel.agent.protocol.events import (
    CallDelta,
    Event,
    Notice,
    Retrying,
    TextDelta,
    TurnEnded,
    Usage,
)
from inkernel.agent.protocol.items import parse_item
from inkernel.agent.seams import Sample
from inkernel.agent.session import Prompt, Session
from inkernel.agent.testing import play
from inkernel.agent.transport import retry

Run = Callable[..., Awaitable[tuple[list[Event], BaseException | None]]]
Make = Callable[..., Any]
END = ResponseDone(None)
USED = ResponseDone(Usage(input=100, cached=40, output=10, reasoning=5))
THOUGHT = parse_item({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"})


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0)
    monkeypatch.setattr(retry, "QUICK_WAIT", 0)


def recorded(
    responses: Iterable[Iterable[SamplePart | ModelError]],
) -> tuple[Sample, list[bytes]]:
    """A `sample` that plays `responses`, and the bodies it was sent."""
    bodies: list[bytes] = []
    inner = play(responses)

    async def sample(request: Request) -> AsyncGenerator[SamplePart]:
        bodies.append(request.wire(b""))
        async with aclosing(inner(request)) as parts:
            async for part in parts:
                yield part

    return sample, bodies


def kinds(events: Iterable[Event]) -> list[str]:
    return [event.event for event in events]


def wires(session: Session) -> list[Any]:
    return [json.loads(entry.item.wire) for entry in session.conversation.history.entries]


def last(events: list[Event]) -> TurnEnded:
    """The end of a turn, which is its last event and its only end."""
    assert kinds(events).count("turn_ended") == 1
    assert isinstance(events[-1], TurnEnded)
    return events[-1]


async def test_a_turn_goes_from_what_was_said_to_the_answer(
    session_for: Make, say: Make, call: Make, tool: Make, run: Run
):
    responses = [
        [TextDelta(text="I look."), THOUGHT, say("I look."), call("t", "a", {"word": "x"}), USED],
        [say("It is 42.", 1), USED],
    ]
    session = session_for(play(responses), tool("t"), price_input=1, price_output=10)
    events, error = await run(session, "What is it?")
    assert error is None
    assert kinds(events) == [
        *("turn_started", "sample_started", "text_delta", "item_done", "item_done", "item_done"),
        *("sample_ended", "judged", "tool_started", "tool_ended"),
        *("sample_started", "item_done", "sample_ended", "turn_ended"),
    ]
    ended = last(events)
    assert (ended.status, ended.answer, ended.samples) == ("completed", "It is 42.", 2)
    assert (ended.error, ended.hint) == (None, None)
    assert ended.usage == Usage(input=200, cached=80, output=20, reasoning=10)
    assert ended.cost == pytest.approx((200 + 200) / 1e6)
    assert [item["type"] for item in wires(session)] == [
        *("message", "message", "reasoning", "message"),
        *("function_call", "function_call_output", "message"),
    ]


async def test_every_item_is_in_the_record_as_it_is_in_the_history(
    session_for: Make, say: Make, call: Make, tool: Make, run: Run
):
    session = session_for(play([[THOUGHT, call("t", "a"), USED], [say("Yes."), END]]), tool("t"))
    await run(session)
    lines = [it.value for it in read_lines(session.journal.record.path)]
    assert [line["item"] for line in lines if line["kind"] == "item"] == wires(session)
    assert [line["kind"] for line in lines if line["kind"] != "item"] == [
        *("turn", "told", "sample", "verdict", "ended")
    ]
    assert lines[-1]["status"] == "completed"


async def test_each_request_begins_with_the_one_before_also_across_turns(
    session_for: Make, say: Make, call: Make, tool: Make, run: Run, place: Environment
):
    sample, bodies = recorded(
        [[say("a"), call("t", "1"), END], [call("t", "2"), END], [say("b"), END], [say("c"), END]]
    )
    session = session_for(sample, tool("t"))
    await run(session)
    async for _ in turn(session, Prompt("More.", Snapshot(replace(place, date="2026-03-02")))):
        pass
    assert len(bodies) == 4
    for shorter, longer in pairwise(bodies):
        assert longer.startswith(shorter.removesuffix(b"]}"))
        json.loads(longer)


async def test_the_next_turn_tells_only_what_is_new(session_for: Make, say: Make, run: Run):
    session = session_for(play([[say("a"), END], [say("b", 1), END]]))
    await run(session, "One.")
    before = len(wires(session))
    events, _ = await run(session, "Two.")
    new = wires(session)[before:]
    assert [item["role"] for item in new] == ["user", "assistant"]
    assert new[0]["content"] == [{"type": "input_text", "text": "Two."}]
    assert events[0].turn == 2


async def test_a_passing_failure_is_tried_again_with_the_same_bytes(
    session_for: Make, say: Make, run: Run
):
    sample, bodies = recorded(
        [
            [ServerFaultError("It broke.")],
            [TextDelta(text="Ye"), StreamBrokenError("Cut.")],
            [say("Yes."), END],
        ]
    )
    session = session_for(sample, max_attempts=3)
    events, error = await run(session)
    assert error is None
    assert last(events).answer == "Yes."
    assert last(events).samples == 1
    assert bodies == [bodies[0]] * 3
    assert [
        (event.attempt, event.attempts, event.cause)
        for event in events
        if isinstance(event, Retrying)
    ] == [(2, 3, "It broke."), (3, 3, "Cut.")]


async def test_the_count_of_tries_that_is_shown_is_the_count_that_is_tried(
    session_for: Make, run: Run
):
    sample, bodies = recorded([[UnreachableError("Refused.")]] * 9)
    events, error = await run(session_for(sample, max_attempts=5))
    assert isinstance(error, UnreachableError)
    tries = [(it.attempt, it.attempts) for it in events if isinstance(it, Retrying)]
    assert tries == [(2, 3), (3, 3)] and len(bodies) == 3


async def test_what_was_said_before_the_stream_broke_is_taken_back_and_said_once(
    session_for: Make, say: Make, run: Run
):
    sample, bodies = recorded(
        [[say("Half.", 1), THOUGHT, StreamBrokenError("Cut.")], [say("Whole.", 2), END]]
    )
    session = session_for(sample)
    events, error = await run(session)
    assert error is None
    assert bodies[1] == bodies[0]
    assert kinds(events).count("answer_withdrawn") == 1
    assert b"Half." not in session.conversation.history.wire
    assert last(events).answer == "Whole."


async def test_work_that_the_server_did_before_the_stream_broke_is_kept(
    session_for: Make, say: Make, run: Run
):
    searched = parse_item({"type": "web_search_call", "id": "ws_1", "status": "completed"})
    sample, bodies = recorded(
        [[say("I search."), searched, StreamBrokenError("Cut.")], [say("Rain."), END]]
    )
    events, _ = await run(session_for(sample))
    assert "answer_withdrawn" not in kinds(events)
    assert b"ws_1" in bodies[1]


async def test_an_answer_that_is_refused_in_its_middle_leaves_the_conversation(
    session_for: Make, say: Make, run: Run
):
    sample, bodies = recorded([[say("Half."), AnswerRefusedError("No.")], [say("Whole."), END]])
    session = session_for(sample)
    events, error = await run(session)
    assert isinstance(error, AnswerRefusedError)
    assert last(events).answer == ""
    assert kinds(events).count("answer_withdrawn") == 1
    await run(session)
    assert b"Half." not in bodies[1]


async def test_a_refusal_of_what_was_only_shown_takes_it_off_the_screen(
    session_for: Make, run: Run
):
    sample, _ = recorded([[TextDelta(text="Half"), AnswerRefusedError("No.")]])
    events, error = await run(session_for(sample))
    assert isinstance(error, AnswerRefusedError)
    assert kinds(events).count("answer_withdrawn") == 1


async def test_a_model_that_pauses_and_says_nothing_is_asked_once_more(session_for: Make, run: Run):
    sample, bodies = recorded([[ResponseDone(None, more=True)]] * 100)
    events, _ = await run(session_for(sample))
    assert len(bodies) == 2
    assert "answered nothing" in " ".join(it.text for it in events if isinstance(it, Notice))


@pytest.mark.parametrize("counted", [0, 37])
async def test_a_server_that_counts_next_to_nothing_is_not_believed(
    session_for: Make, say: Make, run: Run, counted: int
):
    done = ResponseDone(Usage(input=counted))
    session = session_for(play([[say("Yes."), done]]))
    await run(session)
    assert session.conversation.size(1_000) > 1_000


async def test_a_model_that_pauses_its_turn_is_asked_again(session_for: Make, say: Make, run: Run):
    pause = ResponseDone(None, more=True)
    sample, bodies = recorded([[say("I search."), pause], [say("Rain.", 2), END]])
    events, error = await run(session_for(sample))
    assert error is None
    assert bodies[1].startswith(bodies[0].removesuffix(b"]}"))
    assert last(events).answer == "Rain."


@pytest.mark.parametrize("attempts", [1, 2])
async def test_after_the_last_attempt_the_turn_fails(session_for: Make, run: Run, attempts: int):
    session = session_for(play([[ServerFaultError("It broke.")]] * 2), max_attempts=attempts)
    events, error = await run(session)
    assert isinstance(error, ServerFaultError)
    assert kinds(events).count("retrying") == attempts - 1
    assert last(events).status == "failed"


async def test_a_call_that_was_complete_when_the_stream_broke_runs_once_and_the_turn_goes_on(
    session_for: Make, say: Make, call: Make, tool: Make, run: Run
):
    ran: list[str] = []

    async def count(call_id: str, word: str) -> str:
        ran.append(call_id)
        return "counted"

    sample, bodies = recorded([[call("t", "a"), StreamBrokenError("Cut.")], [say("Yes."), END]])
    events, error = await run(session_for(sample, tool("t", count)))
    assert error is None
    assert ran == ["a"]
    assert "retrying" not in kinds(events)
    assert b"counted" in bodies[1]
    assert last(events).answer == "Yes."


@pytest.mark.parametrize("reads_only", [True, False])
async def test_a_call_before_a_failure_that_lasts_is_closed(
    session_for: Make, call: Make, tool: Make, run: Run, reads_only: bool
):
    session = session_for(
        play([[call("t", "a"), IncompleteError("Cut off.")]]), tool("t", reads_only=reads_only)
    )
    events, error = await run(session)
    assert isinstance(error, IncompleteError)
    assert last(events).status == "failed"
    assert wires(session)[-1]["call_id"] == "a"
    assert session.conversation.history.open_calls == ()


@pytest.mark.parametrize("ending", [END, StreamBrokenError("Cut.")])
async def test_reasoning_that_nothing_follows_is_not_kept(
    session_for: Make, say: Make, run: Run, ending: SamplePart
):
    session = session_for(play([[say("Yes."), THOUGHT, ending], [say("Yes.", 1), END]]))
    _, error = await run(session)
    assert error is None
    assert "reasoning" not in [item["type"] for item in wires(session)]


async def test_reasoning_is_kept_before_what_follows_it(session_for: Make, say: Make, run: Run):
    other = parse_item({"type": "acme:search", "id": "x"})
    session = session_for(play([[THOUGHT, other, THOUGHT, say("Yes."), END]]))
    await run(session)
    assert [item["type"] for item in wires(session)][-4:] == [
        *("reasoning", "acme:search", "reasoning", "message")
    ]


async def test_a_turn_stops_at_its_limit_of_samples_with_all_calls_answered(
    session_for: Make, say: Make, call: Make, tool: Make, run: Run
):
    responses = [[call("t", "a"), END], [call("t", "b"), END], [say("Yes."), END]]
    session = session_for(play(responses), tool("t"), max_samples=2)
    events, error = await run(session)
    assert isinstance(error, TurnLimited)
    assert last(events).status == "limited"
    assert last(events).samples == 2
    assert "max_samples" in str(last(events).hint)
    assert session.conversation.history.open_calls == ()
    events, error = await run(session)
    assert error is None
    assert last(events).answer == "Yes."


@pytest.mark.parametrize(
    "failure",
    [
        *(AuthError("No.", "Do."), QuotaError("No.", "Do."), ProtocolError("No.", "Do.")),
        *(IncompleteError("No.", "Do."), ContextLengthError("No.", "Do.")),
        *(UnreachableError("No.", "Do."), ServerFaultError("No.", "Do.", after=1000)),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_failed_turn_says_why_raises_and_the_next_goes_on(
    session_for: Make, say: Make, run: Run, failure: AgentError
):
    attempts = retry.UNREACHABLE_ATTEMPTS if isinstance(failure, UnreachableError) else 1
    session = session_for(play([*[[failure]] * attempts, [say("Yes."), END]]))
    events, error = await run(session)
    assert error is failure
    ended = last(events)
    assert (ended.status, ended.error, ended.hint) == ("failed", "No.", "Do.")
    assert [it.value for it in read_lines(session.journal.record.path)][-1]["error"] == "No."
    events, error = await run(session)
    assert error is None
    assert last(events).answer == "Yes."


async def test_project_instructions_that_were_cut_are_noticed_once(
    session_for: Make, say: Make, place: Environment
):
    session = session_for(play([[say("One."), END], [say("Two."), END]]))
    said = Prompt(
        "hello", Snapshot(replace(place, docs=(Doc(Path("/p/AGENTS.md"), "Be br", cut=True),)))
    )
    first, second = [[event async for event in turn(session, said)] for _ in range(2)]
    (notice,) = [event.text for event in first if isinstance(event, Notice)]
    assert "/p/AGENTS.md" in notice and "docs_bytes" in notice
    assert "notice" not in kinds(second)


@pytest.mark.parametrize(
    "failure", [StreamBrokenError("Cut."), ServerFaultError("Fell."), ProtocolError("Odd.")]
)
async def test_an_answer_that_was_whole_when_the_stream_broke_is_the_answer_and_asked_once(
    session_for: Make, say: Make, run: Run, failure: ModelError
):
    sample, bodies = recorded([[say("Whole."), failure], [say("Whole.", 1), END]])
    session = session_for(sample)
    events, error = await run(session)
    assert error is None
    assert len(bodies) == 1
    assert last(events).answer == "Whole."
    assert session.conversation.history.wire.count(b"Whole.") == 1
    (notice,) = [event.text for event in events if isinstance(event, Notice)]
    assert notice == f"{failure.message} The answer was whole."


@pytest.mark.parametrize("then", [[THOUGHT], [CallDelta(call_id="c", name="t", text="{")]])
async def test_a_message_before_something_that_broke_off_is_no_answer(
    session_for: Make, say: Make, run: Run, then: list[SamplePart]
):
    sample, bodies = recorded(
        [[say("I look."), *then, StreamBrokenError("Cut.")], [say("It is 3.", 1), END]]
    )
    events, error = await run(session_for(sample))
    assert error is None
    assert len(bodies) == 2
    assert last(events).answer == "It is 3."


async def test_a_remark_before_a_call_is_no_answer(session_for: Make, say: Make, run: Run):
    remark = parse_item({**json.loads(say("I look.").wire), "phase": "commentary"})
    sample, bodies = recorded([[remark, StreamBrokenError("Cut.")], [say("It is 3.", 1), END]])
    events, _ = await run(session_for(sample))
    assert len(bodies) == 2
    assert last(events).answer == "It is 3."


@pytest.mark.parametrize("nothing", [[END], [THOUGHT, END], [USED]])
async def test_a_model_that_answers_nothing_is_asked_once_more(
    session_for: Make, say: Make, run: Run, nothing: list[SamplePart]
):
    sample, bodies = recorded([nothing, [say("Yes."), END]])
    events, error = await run(session_for(sample))
    assert error is None
    assert bodies == [bodies[0]] * 2
    assert last(events).answer == "Yes."
    (notice,) = [event.text for event in events if isinstance(event, Notice)]
    assert notice == "The model answered nothing. It is asked once more."


async def test_a_model_that_answers_nothing_twice_ends_the_turn_in_words(
    session_for: Make, run: Run
):
    sample, bodies = recorded([[THOUGHT, END], [END]])
    events, error = await run(session_for(sample))
    assert error is None
    assert len(bodies) == 2
    texts = [event.text for event in events if isinstance(event, Notice)]
    assert texts[-1] == "The model ended the turn without an answer."


async def test_what_a_server_did_is_no_empty_answer(session_for: Make, run: Run):
    image = parse_item({"type": "image_generation_call", "id": "ig_1", "result": "x"})
    sample, bodies = recorded([[image, END]])
    await run(session_for(sample))
    assert len(bodies) == 1
