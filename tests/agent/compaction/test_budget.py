"""The model sees its budget: a line as the window passes a part of it, once, and never changed."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby

from inkernel.agent.compaction.compact import compact_now
from inkernel.agent.conversation.resume import resume
from inkernel.agent.protocol.events import Compacted
from inkernel.agent.session import Session

from .played import WINDOW, Model, Run, only


def told(session: Session) -> list[int]:
    """The percents that lines in the window tell, in order."""
    wire = bytes(session.conversation.history.wire).decode()
    return [int(it) for it in re.findall(r"More than (\d+)% of your window is used", wire)]


async def test_each_part_of_the_window_is_told_once_and_requests_only_grow(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    model.answer = "a few words " * 30
    session = session_for(model.sample, window=WINDOW, compact_at=0.95)
    lines: list[list[int]] = []
    while not lines or lines[-1][-1:] != [80]:
        _, error = await run(session, "And then?")
        assert error is None
        lines.append(told(session))
    assert [it for it, _ in groupby(lines)] == [[], [50], [50, 70], [50, 70, 80]]
    for before, after in zip(model.requests, model.requests[1:], strict=False):
        assert after.startswith(before)


async def test_a_part_that_is_passed_together_with_the_next_has_no_line(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    session = session_for(model.sample, window=WINDOW, compact_at=0.95)
    model.answer = "many words and 1.5 numbers " * 350
    await run(session, "Go.")
    await run(session, "And then?")
    assert told(session) == [70]


async def test_after_a_compaction_the_budget_is_told_anew(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    model.answer = "a few words " * 30
    session = session_for(model.sample, window=WINDOW)
    while told(session) != [50, 70]:
        await run(session, "And then?")
    events = [it async for it in compact_now(session, session.fields())]
    assert only(events, Compacted) and told(session) == []
    while not told(session):
        await run(session, "And then?")
    assert told(session) == [50]


async def test_a_resumed_session_does_not_tell_it_again(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    model.answer = "a few words " * 10
    session = session_for(model.sample, window=WINDOW)
    while told(session) != [50]:
        await run(session, "And then?")
    found = resume(session.journal.record.path)
    again = replace(session, journal=replace(session.journal, conversation=found.conversation))
    await run(again, "And then?")
    assert told(again) == [50]


async def test_where_nobody_knows_the_window_nothing_is_told(
    session_for: Callable[..., Session], run: Run
):
    session = session_for(Model().sample)
    for _ in range(8):
        await run(session, "And then?")
    assert told(session) == []
