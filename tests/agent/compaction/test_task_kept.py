"""Without any notes, every request has the task and the person's rules, whatever their age."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from inkernel.agent.compaction.marks import named, pin
from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.dialects.request import Request
from inkernel.agent.errors import ServerFaultError
from inkernel.agent.protocol.events import Compacted, Event, Usage
from inkernel.agent.protocol.items import Item, parse_item
from inkernel.agent.session import Session
from inkernel.agent.text.tokens import estimate

Run = Callable[..., Awaitable[tuple[list[Event], BaseException | None]]]

TASK = "Find out which of the forty gauges drifted between 2001 and 2019, and by how much."
RULES = (
    "Never write to raw/2019.parquet, not even to repair a single row of it.",
    "Always give depths in millimetres, and say in brackets how many days they rest on.",
    "Do not install anything: the machine is shared, and the lock file belongs to the group.",
    "Times are UTC everywhere, also in titles of plots, and that must stay so.",
    "Use polars for new frames, and leave the old pandas ones as they are.",
    "From now on leave gauge G-17 out of every mean. It was moved twice, and nobody wrote where.",
    "Ask me before anything that takes longer than ten minutes, whatever it is.",
    "Round at the very end only, and to three decimals.",
    "Decision: the median of 14 days is taken for Sines, not the mean.",
    "No figure without its unit, please, and never a pie.",
)
"""Ten rules of up to 60 tokens."""
ANSWER = "Many words and 1.5 numbers, which nobody needs again. " * 12


def said(text: str) -> Item:
    part = {"type": "output_text", "text": text, "annotations": []}
    return parse_item({"type": "message", "role": "assistant", "content": [part]})


class Model:
    """Answers at length and makes no notes. `missing`: words that a request did not have."""

    def __init__(self, answer: str = ANSWER) -> None:
        self.answer = answer
        self.words: list[str] = []
        self.missing: set[str] = set()

    async def sample(self, request: Request) -> AsyncGenerator[SamplePart]:
        items = bytes(request.items[: request.end])
        if b"about to be shortened" in items[-2_500:]:
            raise ServerFaultError("Out of order.")
        text = json.dumps(json.loads(b"[" + items + b"]"), ensure_ascii=False)
        self.missing |= {words for words in self.words if words not in text}
        yield said(self.answer)
        size = estimate(request.fields) + estimate(items)
        yield ResponseDone(Usage(input=size, output=estimate(self.answer)))


async def talk(
    model: Model, session: Session, run: Run, prompts: dict[int, str], turns: int
) -> int:
    """Say the prompts at their turns, and chatter at the others. Returns how often it compacted."""
    done = 0
    for turn in range(1, turns + 1):
        chatter = f"Turn {turn}. Look at the months of gauge {turn} and tell me which was wettest."
        words = prompts.get(turn, "")
        model.words += [words] if words else []
        events, error = await run(session, f"{words} {chatter}".strip())
        assert error is None
        done += sum(isinstance(event, Compacted) for event in events)
    return done


@pytest.mark.parametrize("window", [4_000, 8_000, 16_000, 32_000])
async def test_the_task_and_ten_rules_are_in_every_request(
    session_for: Callable[..., Session], run: Run, window: int
):
    model = Model()
    session = session_for(model.sample, window=window)
    prompts = {1: TASK, **{2 + 3 * number: rule for number, rule in enumerate(RULES)}}
    assert await talk(model, session, run, prompts, 150) > 0
    assert model.missing == set() and len(model.words) == 11
    digest = session.conversation.digest
    assert digest is not None and digest.notes.empty
    assert all(words in digest.text for words in model.words)


async def test_a_brief_of_1300_tokens_stays_as_it_was_said(
    session_for: Callable[..., Session], run: Run
):
    brief = " ".join(
        f"Gauge {n} lies at {n % 90}.{n % 7} degrees, near the river." for n in range(100)
    )
    assert 1_300 < estimate(brief) < 1_400
    model = Model(ANSWER * 8)
    session = session_for(model.sample, window=128_000)
    assert await talk(model, session, run, {1: brief}, 150) > 0
    assert model.missing == set()


async def test_a_pinned_turn_stays_as_it_was_said(session_for: Callable[..., Session], run: Run):
    model = Model()
    session = session_for(model.sample, window=8_000)
    await talk(model, session, run, {2: "The gauges are in data/gauges, by town and year."}, 2)
    pin(session, named(session, "turn 2"))
    await talk(model, session, run, {}, 80)
    assert model.missing == set()


async def test_words_that_are_too_many_leave_room_to_work(
    session_for: Callable[..., Session], run: Run
):
    model = Model()
    session = session_for(model.sample, window=8_000)
    wordy = {turn: f"Never do {turn}. " + f"word{turn} and so on, " * 60 for turn in range(1, 40)}
    done = await talk(model, session, run, wordy, 60)
    digest = session.conversation.digest
    assert digest is not None and 0 < done < 60
    assert estimate(digest.text) < 8_000 * 0.4
    assert "Never do 39." in digest.text and "Never do 5." in digest.text
