"""A session over each dialect: the real client, and the scripted server that speaks all three.

Each request is checked by the rules of its API, and begins with the request before it.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from typing import Any, get_args

import pytest

from inkernel.agent.compaction.note_taking import stop_notes
from inkernel.agent.config.settings import DialectName
from inkernel.agent.conversation.journal import Journal
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.resume import resume
from inkernel.agent.protocol.actions import Verdict
from inkernel.agent.protocol.events import Compacted, Event, TurnEnded
from inkernel.agent.protocol.items import NATIVE, image_part, text_part
from inkernel.agent.providers.catalog import PROVIDERS, Capabilities, speaking
from inkernel.agent.providers.resolve import Target
from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer
from inkernel.agent.seams import Seams
from inkernel.agent.session import Session
from inkernel.agent.testing import answer
from inkernel.agent.tools.tool import ToolOutput
from inkernel.agent.transport import retry

from .dialects import chat_rules, messages_rules

Run = Callable[..., Awaitable[tuple[list[Event], BaseException | None]]]
Make = Callable[..., Any]

DIALECTS: tuple[DialectName, ...] = get_args(DialectName)
RULES: dict[str, Callable[[bytes], None]] = {
    "messages": messages_rules.check,
    "chat": chat_rules.check,
}
YES = Verdict(decision="allow", reason="A test says so.")
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9Q"
    "DwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_MARK = re.compile(rb',"cache_control":\{[^}]*\}')
each = pytest.mark.parametrize("dialect", DIALECTS)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0)
    monkeypatch.setattr(retry, "QUICK_WAIT", 0)


def called(*words: str, **more: Any) -> dict[str, Any]:
    """A response of parallel calls."""
    return {"call": [{"name": "t", "arguments": {"word": word}} for word in words], **more}


def script(*responses: dict[str, Any], **more: Any) -> Script:
    """A script of one turn."""
    return Script.model_validate({"turn": [{"response": responses}], **more})


class Opened:
    """A session with one server, and all that it was asked."""

    def __init__(self, server: ScriptedServer, session: Session, dialect: str) -> None:
        self.server, self.session, self.dialect = server, session, dialect

    def bodies(self) -> list[bytes]:
        """The requests so far. Each keeps the rules of its API."""
        found = list(self.server.requests)
        for body in found:
            RULES.get(self.dialect, json.loads)(body)
        return found


@pytest.fixture
def opened(client_for: Make, session_for: Make) -> Any:
    """Opens a session with the server of a script. Keywords are settings."""
    servers: list[ScriptedServer] = []

    def build(text: Script, dialect: DialectName, *tools: Any, **choices: Any) -> Opened:
        servers.append(ScriptedServer(text).start())
        traits = speaking(Capabilities(), dialect)
        model = "claude-sonnet-5-5" if dialect == "messages" else "m"  # it thinks unasked
        target = Target(f"{dialect}.example", servers[-1].base_url, model, traits=traits)
        client = client_for(target, **choices)
        session = session_for(client.sample, *tools, approve=answer(YES), target=target, **choices)
        seams = replace(session.seams, aside=client.aside)
        return Opened(servers[-1], replace(session, seams=seams), dialect)

    yield build
    for server in servers:
        server.close()


def extends(later: bytes, earlier: bytes) -> bool:
    """True if a request begins as the one before it, marks of a cache apart."""
    start = _MARK.sub(b"", earlier).rstrip(b"]}")
    return _MARK.sub(b"", later).startswith(start)


def ended(events: Sequence[Event]) -> TurnEnded:
    last = events[-1]
    assert isinstance(last, TurnEnded)
    return last


def kinds(session: Session) -> list[str]:
    return [entry.item.type for entry in session.conversation.history.entries]


@each
async def test_thoughts_and_parallel_calls_and_their_outputs_go_there_and_back(
    opened: Make, tool: Make, run: Run, dialect: DialectName
):
    said = script(
        called("a", "b", "c", reasoning="I look at all three.", say="I look."),
        {"reasoning": "Now I know.", "say": "It is rain.", "expect": "t c"},
    )
    one = opened(said, dialect, tool("t", reads_only=True))
    events, error = await run(one.session)
    assert error is None
    assert ended(events).answer == "It is rain."
    assert kinds(one.session)[-10:] == [
        *("reasoning", "message", "function_call", "function_call", "function_call"),
        *("function_call_output", "function_call_output", "function_call_output"),
        *("reasoning", "message"),
    ]
    first, second = one.bodies()
    assert extends(second, first)
    assert b"I look." in second
    assert ended(events).usage.input > 0
    assert ended(events).usage.cached > 0


@each
async def test_a_session_goes_on_turn_by_turn_and_each_request_extends_the_last(
    opened: Make, tool: Make, run: Run, dialect: DialectName
):
    turns = [
        {"response": [called(f"w{n}", say=f"I look {n}."), {"say": f"Answer {n}."}]}
        for n in range(6)
    ]
    one = opened(Script.model_validate({"turn": turns}), dialect, tool("t"))
    for n in range(6):
        events, error = await run(one.session, f"Question {n}?")
        assert error is None
        assert ended(events).answer == f"Answer {n}."
    bodies = one.bodies()
    assert len(bodies) == 12
    assert all(extends(later, earlier) for earlier, later in pairwise(bodies))


@each
async def test_a_picture_in_an_output_reaches_the_model(
    opened: Make, tool: Make, run: Run, dialect: DialectName
):
    async def draw(_call: str, _word: str) -> ToolOutput:
        return ToolOutput((text_part("A plot."), image_part(PICTURE)))

    said = script(called("a", "b"), {"say": "It rises."})
    one = opened(said, dialect, tool("t", draw))
    _, error = await run(one.session)
    assert error is None
    first, second = one.bodies()
    assert second.count(PICTURE.partition(",")[2].encode()) == 2
    assert extends(second, first)


@each
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 529, "times": 1},
        {"status": 429, "times": 2, "headers": {"retry-after": "0"}},
        {"after": 0, "times": 1},
        {"after": 2, "times": 1},
        {"after": 4, "times": 2},
        {"event": "error", "code": "server_error", "after": 3, "times": 1},
    ],
    ids=str,
)
async def test_after_a_failure_it_is_asked_again_and_no_call_runs_twice(
    opened: Make, tool: Make, run: Run, dialect: DialectName, fault: dict[str, Any]
):
    ran: list[str] = []

    async def count(_call: str, word: str) -> str:
        ran.append(word)
        return "counted"

    said = script(called("a", "b", fault=fault), {"say": "Two rows are there.", "fault": fault})
    one = opened(said, dialect, tool("t", count))
    events, error = await run(one.session)
    assert error is None
    assert ended(events).answer == "Two rows are there."
    assert sorted(ran) == ["a", "b"]
    assert len(one.bodies()) > 2


@each
async def test_after_an_interrupt_the_next_turn_is_a_valid_request(
    opened: Make, tool: Make, run: Run, dialect: DialectName
):
    begun = asyncio.Event()

    async def wait(_call: str, word: str) -> str:
        if word == "b":
            begun.set()
            await asyncio.sleep(3600)
        return "done"

    turns = [
        {"response": [called("a", "b", "c", reasoning="I wait.")]},
        {"on": "go on", "response": [{"say": "It was stopped."}]},
    ]
    one = opened(Script.model_validate({"turn": turns}), dialect, tool("t", wait))
    running = asyncio.ensure_future(run(one.session))
    await asyncio.wait_for(begun.wait(), 30)
    running.cancel()
    _, error = await running
    assert isinstance(error, asyncio.CancelledError)
    events, error = await run(one.session, "Go on.")
    assert error is None
    assert ended(events).answer == "It was stopped."
    first, second = one.bodies()
    assert extends(second, first)
    assert b"Not finished" in second


@each
@pytest.mark.parametrize("arguments", ['{"word": "half', "[1]", "", '"a"'])
async def test_broken_arguments_are_told_and_the_next_request_is_valid(
    opened: Make, tool: Make, run: Run, dialect: DialectName, arguments: str
):
    said = script(
        {"call": [{"name": "t", "arguments": arguments}]}, {"say": "I try something else."}
    )
    one = opened(said, dialect, tool("t"))
    events, error = await run(one.session)
    assert error is None
    assert ended(events).answer == "I try something else."
    one.bodies()


@each
async def test_a_full_window_is_compacted_and_its_next_request_is_valid(
    opened: Make, tool: Make, run: Run, dialect: DialectName
):
    long = "Many words on the rain of one month. " * 60
    turns = [
        {"on": f"month {n:02}", "response": [called(f"w{n}"), {"say": f"{n:02}: {long}"}]}
        for n in range(16)
    ]
    notes = {"on": "about to be shortened", "response": [{"say": '{"state": "Half done."}'}]}
    text = Script.model_validate({"turn": [*turns, notes]})
    one = opened(text, dialect, tool("t"), window=9_000)
    found: list[Compacted] = []
    for n in range(16):
        events, error = await run(one.session, f"Tell month {n:02}, please.")
        assert error is None
        assert ended(events).answer.startswith(f"{n:02}:")
        found += [event for event in events if isinstance(event, Compacted)]
    assert found
    assert b"<digest>" in one.bodies()[-1]


def resumed(session: Session) -> Session:
    """The session as another kernel reads it from its record."""
    stop_notes(session.conversation)
    path = session.journal.record.path
    session.journal.record.close()
    again = resume(path)
    record = Record(path)
    return replace(
        session,
        journal=Journal(record, again.conversation),
        outputs=OutputStore(record, again.outputs),
    )


@each
async def test_a_resumed_session_sends_what_it_sent_before_and_then_what_is_new(
    opened: Make, tool: Make, run: Run, dialect: DialectName
):
    turns = [
        {"response": [called("a", "b", reasoning="I look."), {"say": "One."}]},
        {"on": "again", "response": [called("c", reasoning="Once more."), {"say": "Two."}]},
    ]
    one = opened(Script.model_validate({"turn": turns}), dialect, tool("t"))
    await run(one.session)
    session = resumed(one.session)
    events, error = await run(session, "Again?")
    session.journal.record.close()
    assert error is None
    assert ended(events).answer == "Two."
    bodies = one.bodies()
    assert extends(bodies[2], bodies[1])
    assert extends(bodies[3], bodies[2])


ROUND = ("openai", "anthropic", "gemini", "llamacpp", "deepseek", "gemini", "anthropic", "openai")
"""The providers of a conversation, one a turn."""
DEVIATIONS = {name: (name,) for name in ("gemini", "deepseek", "llamacpp")}
MODELS = {"anthropic": "claude-sonnet-5-5", "gemini": "gemini-3.8-flash"}


def turn_of(n: int, answer: str) -> list[dict[str, Any]]:
    """The turns of a server that is asked question `n`."""
    calls = called(f"w{n}", f"v{n}", reasoning=f"Secret thought {n}.", say=f"I look {n}.")
    told = {"reasoning": f"Second thought {n}.", "say": f"Answer {n}. {answer}"}
    notes = {"response": [{"say": f'{{"state": "Noted at {n}."}}'}]}
    return [
        {"on": f"question {n}", "response": [calls, told]},
        {"on": "about to be shortened", **notes},
    ]


@pytest.mark.parametrize("words", [2, 300], ids=["whole", "with compactions"])
async def test_a_conversation_goes_from_provider_to_provider_and_back(
    client_for: Make, session_for: Make, tool: Make, run: Run, words: int
):
    """No server gets another's own words. All get what was said and put out, or a digest of it."""
    session: Session | None = None
    with ExitStack() as stack:
        for n, name in enumerate(ROUND):
            text = {
                "turn": turn_of(n, "Rain in mm. " * words),
                "deviations": DEVIATIONS.get(name, ()),
            }
            server = stack.enter_context(ScriptedServer(Script.model_validate(text)))
            traits = replace(PROVIDERS[name].traits, websocket=False, compact=False)
            model = MODELS.get(name, "m")
            target = Target(name, server.base_url, model, "a-key", "A_KEY", traits=traits)
            choices = {"window": 7_000, "effort": "high"}
            client = client_for(target, **choices)
            if session is None:
                one = session_for(client.sample, tool("t"), approve=answer(YES), **choices)
            else:
                one = session
            seams = Seams(client.sample, one.seams.approve, aside=client.aside)
            session = replace(one, target=target, seams=seams)
            events, error = await run(session, f"Question {n}?")
            assert error is None
            assert ended(events).answer.startswith(f"Answer {n}.")
            check(server, traits.dialect, n)
            if n % 2:
                session = resumed(session)
        assert session is not None
        compacted = session.conversation.digest is not None
        assert compacted is (words > 2)
        session.journal.record.close()


def check(server: ScriptedServer, dialect: str, n: int) -> None:
    """The requests of question `n`: valid, growing, with all that was said and no foreign words."""
    asked = [body for body in server.requests if b"about to be shortened" not in body]
    for body in server.requests:
        RULES.get(dialect, json.loads)(body)
        assert dialect == "responses" or NATIVE.encode() not in body
    first, second = asked
    assert extends(second, first)
    for earlier in range(n):
        assert b"Question %d?" % earlier in first or b"<digest>" in first
        assert b"Answer %d." % earlier in first or b"<digest>" in first
        assert b"ought %d." % earlier not in first
