"""Whole turns against real servers: what the scripted model stands in for elsewhere."""

import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from inkernel.agent import errors
from inkernel.agent.config.settings import Settings
from inkernel.agent.context.changes import Environment, Snapshot
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.loop import turn
from inkernel.agent.protocol.cells import CellRun, StreamOutput
from inkernel.agent.protocol.events import Event, ReasoningDelta, SampleEnded, TextDelta, TurnEnded
from inkernel.agent.providers.keys import Keys
from inkernel.agent.providers.resolve import Target, find_target
from inkernel.agent.session import Prompt, Session
from inkernel.agent.tools.run_cell import RunCell, run_cell_tool
from inkernel.agent.tools.tool import ToolCall
from inkernel.agent.transport.client import Client
from inkernel.agent.transport.http import list_models

pytestmark = pytest.mark.timeout(120, func_only=True)

Say = Callable[..., Awaitable[list[Event]]]


async def run_code(_call: ToolCall, step: RunCell) -> CellRun:
    """Runs it, as far as it prints."""
    code = step.code
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, {})
    text = out.getvalue()
    return CellRun(source=code, status="ok", outputs=(StreamOutput(name="stdout", text=text),))


async def target_at(live, **choices) -> Target:
    """The target that a user's settings come to; the key is in LIVE_KEY."""
    named = {"api_key_env": "LIVE_KEY"} if live.key else {}
    settings = Settings(provider=live.provider, base_url=live.base_url, **named, **choices)
    return await find_target(settings, Keys({"LIVE_KEY": live.key}), list_models)


@pytest.fixture
async def session_at(
    session_for, tmp_path: Path
) -> AsyncIterator[Callable[..., Awaitable[Session]]]:
    """Builds a session with a server, its one tool `run_cell`; keywords are settings."""
    async with contextlib.AsyncExitStack() as stack:

        async def build(live, **choices) -> Session:
            target = await target_at(live, **choices)
            client = Client(target, Settings(max_attempts=1))
            stack.push_async_callback(client.close)
            record = Record(Path(tempfile.mkdtemp(dir=tmp_path)) / "record.jsonl")
            stack.callback(record.close)
            tool = run_cell_tool(run_code, 1000, OutputStore(record))
            return session_for(client.sample, tool, target=target, max_attempts=1)

        yield build


@pytest.fixture
def say(place: Environment) -> Say:
    """Says something: the events of the turn."""

    async def drain(session: Session, text: str) -> list[Event]:
        return [event async for event in turn(session, Prompt(text, Snapshot(place)))]

    return drain


def kinds(session: Session) -> list[str]:
    return [entry.item.type for entry in session.conversation.history.entries]


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture(params=["transformers-chat", "litellm-chat", "litellm-messages"])
def translated(request):
    """A server, and the settings for an API of it that is not Responses."""
    server, dialect = request.param.split("-")
    model = {"model": "tiny-chat"} if server == "litellm" else {}
    return request.getfixturevalue(server), {"dialect": dialect, **model}


async def test_its_models_are_listed_and_without_a_choice_the_first_is_taken(live):
    target = await target_at(live)
    assert (await list_models(target, 10))[0] == live.model == target.model


async def test_an_answer_comes_in_pieces_and_ends(live, session_at, say):
    session = await session_at(live)
    events = await say(session, "Say hello.")
    answer = "Hello! I am a very small model, and I run here."
    assert "".join(event.text for event in of(TextDelta, events)) == answer
    ended = events[-1]
    assert isinstance(ended, TurnEnded) and ended.status == "completed" and ended.answer == answer
    assert of(SampleEnded, events)[0].usage.output > 3 and kinds(session) == ["message"] * 3


async def test_a_call_is_run_and_its_output_is_answered(live, session_at, say):
    session = await session_at(live)
    events = await say(session, "What is 6 times 7?")
    assert events[-1].answer == "It is 42." and events[-1].samples == 2
    asked, answered = ["message"] * 2, ["function_call", "function_call_output", "message"]
    assert kinds(session) == asked + answered
    lines = [json.loads(line) for line in session.journal.record.path.read_text().splitlines()]
    assert [line["item"]["type"] for line in lines if "item" in line] == kinds(session)


async def test_a_conversation_goes_on_over_calls_and_reasoning(live, session_at, say):
    session = await session_at(live)
    thought = of(ReasoningDelta, await say(session, "Name a colour."))
    assert "".join(event.text for event in thought) == "The sky is blue."
    assert "reasoning" in kinds(session)
    for said in ("What is 12 times 34?", "Name a colour.", "What is 345 times 6?"):
        answer = (await say(session, said))[-1].answer
    assert answer == "It is 2070."


async def test_a_conversation_goes_on_in_another_dialect(translated, session_at, say):
    live, choices = translated
    session = await session_at(live, **choices)
    assert session.target.traits.dialect == choices["dialect"]
    events = await say(session, "Say hello.")
    answer = "Hello! I am a very small model, and I run here."
    assert "".join(event.text for event in of(TextDelta, events)) == answer
    assert of(SampleEnded, events)[0].usage.output > 3
    for said in ("What is 12 times 34?", "Name a colour.", "What is 345 times 6?"):
        ended = (await say(session, said))[-1]
    assert ended.answer == "It is 2070." and ended.samples == 2
    assert {"function_call", "function_call_output"} < {*kinds(session)}


async def test_a_conversation_goes_from_one_dialect_to_the_other(litellm, session_at, say):
    session = await session_at(litellm, model="tiny")
    chat = {"model": "tiny-chat", "dialect": "chat"}
    messages = {"model": "tiny-chat", "dialect": "messages"}
    for choices in ({"model": "tiny"}, chat, messages, {"model": "tiny"}):
        other = await session_at(litellm, **choices)
        session = replace(session, target=other.target, seams=other.seams)
        assert (await say(session, "What is 6 times 7?"))[-1].answer == "It is 42."
        assert (await say(session, "Name a colour."))[-1].answer == "Blue, like the sky."


async def test_leaving_in_mid_stream_stops_the_server_too(live, session_at, say, place):
    """Its clock ticks for ever, and it answers one request at a time."""
    session = await session_at(live)
    ticks = asyncio.Event()

    async def listen() -> None:
        async for event in turn(session, Prompt("Be a clock.", Snapshot(place))):
            if isinstance(event, TextDelta):
                ticks.set()

    listening = asyncio.create_task(listen())
    await ticks.wait()
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    assert (await say(session, "Say hello."))[-1].status == "completed"


async def test_an_unknown_model_is_refused_by_its_name(live, session_at, say):
    session = await session_at(live, model="no-such-model")
    with pytest.raises((errors.ModelNotFoundError, errors.RequestRefusedError), match="no-such-mo"):
        await say(session, "Say hello.")


async def test_a_conversation_longer_than_the_window_is_an_error_of_its_own(
    litellm, session_at, say
):
    """`transformers serve` knows no limit: it would answer nonsense, slowly."""
    session = await session_at(litellm)
    with pytest.raises(errors.ContextLengthError, match="16384"):
        await say(session, "hello " * 30_000)


async def test_a_wrong_key_is_refused_by_the_name_of_its_variable(litellm, session_at, say):
    session = await session_at(replace(litellm, key="sk-wrong", model="tiny"), model="tiny")
    with pytest.raises(errors.AuthError, match="LIVE_KEY") as caught:
        await say(session, "Say hello.")
    assert "sk-wrong" not in str(caught.value)


def test_the_command_runs_a_turn_in_a_real_kernel(live, tmp_path: Path):
    command = [sys.executable, "-m", "inkernel", "exec", "--json"]
    server = ["--base-url", live.base_url, "--model", live.model]
    ran = subprocess.run(
        [*command, *server, "What is 6 times 7?"],
        cwd=tmp_path,
        env={**os.environ, "LIVE_KEY": live.key}
        | ({"INKERNEL_API_KEY_ENV": "LIVE_KEY"} if live.key else {}),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1])["answer"] == "It is 42."
