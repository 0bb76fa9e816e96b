"""A call between two loops: its questions, its news, its clock."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from inkernel.agent.services import ServiceLoop
from inkernel.agent.tools.mcp.calls import (
    Answered,
    CallClock,
    Caller,
    CallLine,
    CallsUnderWay,
    ServerQuestion,
    refuse,
)

QUESTION = ServerQuestion("git", "elicitation", {})


@pytest.fixture
def there() -> Iterator[ServiceLoop]:
    loop = ServiceLoop()
    yield loop
    loop.close()


async def test_the_caller_hears_at_most_ten_times_a_second_and_the_last_word(there: ServiceLoop):
    heard: list[str] = []
    line = CallLine(Caller(refuse, heard.append))

    async def work() -> str:
        for n in range(1_000):
            line.tell(str(n))
        line.flush()
        return "done"

    assert await line.wait(there.submit(work())) == "done"
    assert heard[-1] == "999" and len(heard) < 10


async def test_a_question_is_answered_in_the_task_that_waits(there: ServiceLoop):
    async def answer(question: ServerQuestion) -> Answered:
        return {"action": "accept", "task": asyncio.current_task(), "of": question.server}

    line = CallLine(Caller(answer))
    got = await line.wait(there.submit(line.ask(QUESTION)))
    assert got == {"action": "accept", "task": asyncio.current_task(), "of": "git"}


async def test_a_caller_that_stops_ends_call_and_question(there: ServiceLoop):
    async def answer(_question: ServerQuestion) -> Answered:
        raise RuntimeError("stop")

    async def work() -> None:
        try:
            await line.ask(QUESTION)
            await asyncio.sleep(60)
        finally:
            ended.set()

    line, ended = CallLine(Caller(answer)), threading.Event()
    with pytest.raises(RuntimeError, match="stop"):
        await line.wait(there.submit(work()))
    assert await asyncio.to_thread(ended.wait, 30)


async def test_without_a_call_nobody_is_asked():
    assert await CallsUnderWay().ask(QUESTION) == {"action": "decline"}


async def test_the_time_of_a_call_stops_while_it_asks(there: ServiceLoop):
    calls = CallsUnderWay()

    async def answer(_question: ServerQuestion) -> Answered:
        await asyncio.sleep(3)
        return {"action": "accept"}

    async def work() -> Answered:
        clock = CallClock(2)
        with calls.begun(line, clock):
            async with clock.limit:
                return await calls.ask(QUESTION)

    line = CallLine(Caller(answer))
    assert await line.wait(there.submit(work())) == {"action": "accept"}
