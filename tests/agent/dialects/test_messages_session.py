"""The Messages dialect under the real loop: every request of a session keeps the rules."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from inkernel.agent.conversation.history import Entry
from inkernel.agent.conversation.resume import resume
from inkernel.agent.dialects.dialect import SamplePart
from inkernel.agent.dialects.request import Request
from inkernel.agent.errors import AnswerRefusedError, StreamBrokenError
from inkernel.agent.protocol.events import Event as TurnEvent
from inkernel.agent.protocol.events import SampleEnded, Usage
from inkernel.agent.scripted.server import ScriptedServer
from inkernel.agent.session import Session
from inkernel.agent.transport import retry
from inkernel.agent.transport.client import Client

from .messages_rules import check
from .messages_wire import (
    TOOL,
    Event,
    bare,
    block,
    data_of,
    dialect,
    end,
    redacted,
    said,
    start,
    target,
    text,
    thinking,
    use,
)

Run = Callable[..., Awaitable[tuple[list[TurnEvent], BaseException | None]]]

TURN = (
    [
        *thinking(0, "One."),
        *text(1, "I look."),
        *use(2, "toolu_1", '{"what": 1e0}'),
        *end("tool_use"),
    ],
    [*thinking(0, "Two."), *redacted(1), *use(2, "toolu_2"), *use(3, "toolu_3"), *end("tool_use")],
    [*thinking(0, "Three."), *text(1, "Done."), *end()],
)
NEXT = (
    [*thinking(0, "Four."), *use(1, "toolu_4", '{"what":"x"}'), *end("tool_use")],
    [*text(0, "That is all."), *end()],
)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0)
    monkeypatch.setattr(retry, "QUICK_WAIT", 0)


class Server:
    """Answers requests in the words of the Messages API, and checks each."""

    def __init__(self, *answers: Iterable[Event], model: str = "claude-opus-5-5") -> None:
        self.answers = iter(answers)
        self.by = dialect(model)
        self.bodies: list[bytes] = []

    async def sample(self, request: Request) -> AsyncGenerator[SamplePart]:
        reader, body = self.by.reader(), self.by.body(request)
        check(body)
        self.bodies.append(body)
        events = [start(f"msg_{len(self.bodies)}"), *next(self.answers)]
        for part in [*reader.read_all(data_of(events)), *reader.closed()]:
            yield part
        if not reader.finished:
            raise StreamBrokenError("The stream broke.")

    def thoughts(self, at: int = -1) -> list[str]:
        """The thoughts that the request has."""
        messages = json.loads(self.bodies[at])["messages"]
        blocks = [block for it in messages for block in it["content"]]
        return [it.get("thinking", "") for it in blocks if it["type"].endswith("thinking")]


@pytest.fixture
def session_with(session_for: Callable[..., Session]) -> Callable[[Server], Session]:
    def make(server: Server) -> Session:
        return session_for(server.sample, TOOL, target=target(server.by._target.model))

    return make


def grows(bodies: list[bytes]) -> bool:
    pairs = pairwise(map(bare, bodies))
    return all(later.startswith(one) for one, later in pairs)


async def test_a_session_grows_byte_for_byte_and_keeps_every_thought(
    session_with: Callable[[Server], Session], run: Run
):
    server = Server(*TURN, *NEXT)
    session = session_with(server)
    for _ in range(2):
        assert (await run(session))[1] is None
    assert grows(server.bodies) and len(server.bodies) == 5
    assert server.thoughts() == ["One.", "Two.", "", "Three.", "Four."]
    assert b'"input":{"what": 1e0}' in server.bodies[-1]


async def test_a_resumed_session_sends_what_the_live_one_would(
    session_with: Callable[[Server], Session], run: Run
):
    first = Server(*TURN)
    session = session_with(first)
    await run(session)
    found = resume(session.journal.record.path)
    second, third = Server(*NEXT), Server(*NEXT)
    journal = replace(session.journal, conversation=found.conversation)
    again = replace(session, seams=replace(session.seams, sample=second.sample), journal=journal)
    live = replace(session, seams=replace(session.seams, sample=third.sample))
    await run(live)
    await run(again)
    assert second.bodies == third.bodies
    assert second.thoughts() == ["One.", "Two.", "", "Three.", "Four."]


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-opus-5", "claude-haiku-4-5"])
async def test_a_session_goes_on_after_its_window_was_rewritten(
    session_with: Callable[[Server], Session], run: Run, model: str
):
    server = Server(*TURN, *NEXT, *TURN, model=model)
    session = session_with(server)
    await run(session)
    entries = session.conversation.history.entries
    calls = [at for at, entry in enumerate(entries) if entry.item.type == "function_call"]
    digest = Entry(said("(A digest.)"), 1, None, "digest")
    session.journal.rewrite([digest, *entries[calls[1] :]], "test", None)
    await run(session)
    await run(session)
    assert grows(server.bodies[3:])
    left = ["Four."] if model == "claude-opus-5-5" else ["Three.", "Four."]
    assert server.thoughts(4) == left


async def test_a_session_that_changes_its_server_goes_on(
    session_with: Callable[[Server], Session], run: Run
):
    server = Server(*TURN, *NEXT)
    session = session_with(server)
    await run(session)
    session.journal.hand_over("elsewhere", "chat")
    assert not any(entry.item.native for entry in session.conversation.history.entries)
    assert (await run(session))[1] is None
    assert server.thoughts() == ["Four."]


async def test_an_answer_that_broke_is_asked_for_again(
    session_with: Callable[[Server], Session], run: Run
):
    broken = [*thinking(0, "Hm."), *text(1, "I begin"), *thinking(2, "And")]
    worked = [*thinking(0, "Hm."), *use(1, "toolu_1", '{"what":"x"}'), *text(2, "I am")]
    server = Server(broken, worked, TURN[2], *NEXT)
    session = session_with(server)
    assert (await run(session))[1] is None
    assert (await run(session))[1] is None
    assert server.bodies[0] == server.bodies[1]
    assert grows(server.bodies)
    assert server.thoughts() == ["Hm.", "Three.", "Four."]


async def test_a_refused_answer_leaves_nothing_behind(
    session_with: Callable[[Server], Session], run: Run
):
    refused = [*thinking(0, "Hm."), *text(1, "First, take"), *end("refusal")]
    server = Server(refused, *NEXT)
    session = session_with(server)
    _, error = await run(session)
    assert isinstance(error, AnswerRefusedError)
    await run(session)
    assert b"First, take" not in server.bodies[-1]


async def test_a_paused_turn_goes_on(session_with: Callable[[Server], Session], run: Run):
    search: Any = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    paused = [*thinking(0, "Hm."), *block(1, search), *end("pause_turn")]
    server = Server(paused, *NEXT)
    session = session_with(server)
    assert (await run(session))[1] is None
    assert json.loads(server.bodies[1])["messages"][-1]["role"] == "assistant"
    assert len(server.bodies) == 3


SCRIPT = """
model = "claude-opus-5-5"
[[turn]]
[[turn.response]]
reasoning = "I look."
say = "First I look."
call = [{name = "look", arguments = {what = "x"}}, {name = "look"}]
[[turn.response]]
say = "Done."
[[turn]]
[[turn.response]]
reasoning = "Hm."
say = "Again."
"""


async def test_a_session_over_http_keeps_the_rules_of_a_server_and_reads_its_cache(
    scripted: Callable[..., ScriptedServer],
    client_for: Callable[..., Client],
    session_for: Callable[..., Session],
    run: Run,
):
    there = replace(target(), base_url=scripted(SCRIPT).base_url)
    session = session_for(client_for(there).sample, TOOL, target=there)
    usages: list[Usage | None] = []
    for _ in range(2):
        events, error = await run(session)
        assert error is None
        usages += [it.usage for it in events if isinstance(it, SampleEnded)]
    first, *later = [usage for usage in usages if usage]
    assert first.written and not first.cached and len(later) == 2
    assert all(usage.cached > usage.written > 0 for usage in later)
