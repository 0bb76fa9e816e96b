"""A turn ends where a budget is used up, and where a call fails again and again."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from inkernel.agent.conversation.resume import resume
from inkernel.agent.dialects.dialect import ResponseDone
from inkernel.agent.dispatch.from_code import ToolCallError, lend
from inkernel.agent.errors import TurnInterrupted, TurnLimited
from inkernel.agent.protocol.events import Event, Notice, TurnEnded, Usage
from inkernel.agent.protocol.items import FunctionCallOutput
from inkernel.agent.session import Session
from inkernel.agent.testing import play
from inkernel.agent.tools.tool import ToolCall, ToolOutput, text_output

Run = Callable[..., Awaitable[tuple[list[Event], BaseException | None]]]
Make = Callable[..., Any]
END = ResponseDone(None)


def outputs(session: Session) -> list[str]:
    items = [entry.item for entry in session.conversation.history.entries]
    return [str(it.output) for it in items if isinstance(it, FunctionCallOutput)]


def notices(events: Iterable[Event]) -> list[str]:
    return [it.text for it in events if isinstance(it, Notice)]


def used(tokens: int) -> ResponseDone:
    return ResponseDone(Usage(input=tokens, output=0))


async def test_at_80_percent_it_is_told_and_at_100_the_turn_ends_and_can_go_on(
    session_for: Make, say: Make, call: Make, tool: Make, run: Run
):
    responses = [
        *([call("t", "a"), used(50)], [call("t", "b"), used(30)], [call("t", "c"), used(30)]),
        [say("Done."), used(10)],
    ]
    session = session_for(play(responses), tool("t"), turn_tokens=100)
    events, error = await run(session)
    assert isinstance(error, TurnLimited)
    assert "110 of 100 of this turn's tokens" in error.message
    assert "%agent config turn_tokens" in error.hint
    told = "80 of 100 of this turn's tokens"
    assert [text for text in notices(events) if told in text]
    wire = session.conversation.history.wire
    assert wire.count(b"<budget>") == 1 and told.encode() in wire
    assert len(outputs(session)) == 3
    assert session.conversation.history.open_calls == ()
    _, error = await run(session, "Go on.")
    assert error is None


async def test_a_session_counts_its_turns_also_after_it_was_resumed(
    session_for: Make, say: Make, call: Make, tool: Make, run: Run
):
    responses = [[call("t", "a"), END], [say("Yes."), END], [call("t", "b"), END]]
    session = session_for(play(responses), tool("t"), session_steps=2)
    _, error = await run(session)
    assert error is None
    assert resume(session.journal.record.path).conversation.steps == 1
    _, error = await run(session)
    assert isinstance(error, TurnLimited)
    assert "2 of 2 of this session's steps" in error.message


async def test_steps_that_no_budget_is_left_for_do_not_run_and_looks_do(
    session_for: Make, call: Make, tool: Make, run: Run
):
    ran: list[str] = []

    async def noted(call_id: str, _word: str) -> str:
        ran.append(call_id)
        return "ok"

    items = [call("t", "a"), call("look", "b"), call("t", "c"), call("look", "d")]
    tools = (tool("t", noted), tool("look", noted, reads_only=True))
    session = session_for(play([[*items, END]]), *tools, turn_steps=1)
    _, error = await run(session)
    assert isinstance(error, TurnLimited)
    assert sorted(ran) == ["a", "b", "d"]
    assert "budget of steps" in outputs(session)[2]


async def test_more_calls_than_one_response_may_make_are_refused(
    session_for: Make, say: Make, call: Make, tool: Make, run: Run
):
    many = [call("t", f"c{n}", {"word": f"{n}"}) for n in range(9)]
    session = session_for(play([[*many, END], [say("Done."), END]]), tool("t"), response_calls=4)
    _, error = await run(session)
    assert error is None
    assert ["Not run" in text for text in outputs(session)] == [False] * 4 + [True] * 5


@pytest.mark.parametrize("status", ["error", "denied"])
async def test_the_same_call_that_fails_the_same_way_three_times_ends_the_turn(
    status: Any, session_for: Make, say: Make, call: Make, tool: Make, run: Run
):
    times: list[str] = []

    async def fail(call_id: str, _word: str) -> ToolOutput:
        times.append(call_id)
        return text_output(f"In [{len(times)}]: NameError at 0x7f{len(times)}", status)

    responses = [[call("t", f"{n}", {"word": "x"}), END] for n in range(9)]
    session = session_for(play([*responses, [say("Done."), END]]), tool("t", fail))
    _, error = await run(session)
    assert isinstance(error, TurnLimited)
    assert len(times) == 3
    assert "NameError" in error.message


async def test_calls_that_differ_or_a_step_that_works_do_not_end_it(
    session_for: Make, say: Make, call: Make, tool: Make, run: Run
):
    async def fail(_id: str, word: str) -> ToolOutput:
        return text_output("It failed.", "ok" if word == "ok" else "error")

    words = ["x", "x", "ok", "x", "x", "y", "z", "y"]
    responses = [[call("t", f"{n}", {"word": word}), END] for n, word in enumerate(words)]
    session = session_for(play([*responses, [say("Done."), END]]), tool("t", fail))
    _, error = await run(session)
    assert error is None


async def test_a_step_that_was_interrupted_counts_with_the_calls_of_its_code(
    session_for: Make, call: Make, tool: Make, run: Run
):
    async def step(step: ToolCall, _arguments: Any) -> ToolOutput:
        with lend(session, (tool("move"),), step) as functions:
            await functions.move(word="it")
        return text_output("Stopped.", "interrupted")

    session = session_for(play([[call("t", "a"), END]]), replace(tool("t"), run=step))
    events, error = await run(session)
    assert isinstance(error, TurnInterrupted) and isinstance(end := events[-1], TurnEnded)
    assert (end.steps, session.conversation.steps) == (2, 2)


async def test_calls_of_code_count_in_the_budgets_of_the_turn(
    session_for: Make, say: Make, call: Make, tool: Make, run: Run
):
    async def step(step: ToolCall, _arguments: Any) -> ToolOutput:
        with lend(session, (tool("move"),), step) as functions:
            for _ in range(9):
                with suppress(ToolCallError):
                    await functions.move(word="it")
        return text_output("ok")

    runs = replace(tool("t"), run=step)
    responses = [[call("t", "a"), END], [say("Done."), END]]
    session = session_for(play(responses), runs, turn_steps=4, response_calls=2)
    _, error = await run(session)
    assert isinstance(error, TurnLimited) and "4 of 4 of this turn's steps" in error.message
    session = session_for(play(responses), runs, response_calls=2)
    events, error = await run(session)
    assert error is None and isinstance(end := events[-1], TurnEnded)
    assert end.steps == 1 + 8 and end.sent > 8 * len("move it")
