"""What tests of a turn share: items as a server sends them, tools, and a way to run a turn."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from inkernel.agent.config.settings import Settings
from inkernel.agent.context.changes import Environment, Snapshot
from inkernel.agent.loop import turn
from inkernel.agent.protocol.events import Event
from inkernel.agent.protocol.items import Item, parse_item
from inkernel.agent.providers.resolve import Target
from inkernel.agent.session import Prompt, Session
from inkernel.agent.tools.schema import FieldsOf
from inkernel.agent.tools.tool import Tool, ToolCall, ToolOutput, always, text_output
from inkernel.agent.transport.client import Client

from .recorded import RecordedSession


@pytest.fixture
def say() -> Callable[..., Item]:
    """An assistant message, as a server sends it."""

    def make(text: str, number: int = 0) -> Item:
        part = {"type": "output_text", "text": text, "annotations": []}
        return parse_item(
            {"type": "message", "id": f"msg_{number}", "role": "assistant", "content": [part]}
        )

    return make


@pytest.fixture
def call() -> Callable[..., Item]:
    """A function call; arguments that are text are sent as they are."""

    def make(name: str, call_id: str, arguments: object = None) -> Item:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
        fields = {"type": "function_call", "call_id": call_id, "name": name, "arguments": text}
        return parse_item(fields)

    return make


class Word(BaseModel):
    """The arguments of the tools here."""

    word: str = ""


@pytest.fixture
def tool() -> Callable[..., Tool[Any]]:
    """A tool called `name` that tells what `run` gives for a call's id and word."""

    def make(
        name: str,
        run: Callable[[str, str], Awaitable[str | ToolOutput]] | None = None,
        reads_only: bool = False,
    ) -> Tool[Any]:
        async def adapted(call: ToolCall, arguments: Word) -> ToolOutput:
            text = await run(call.id, arguments.word) if run else f"{name} {arguments.word}"
            return text if isinstance(text, ToolOutput) else text_output(text)

        touches = always("look" if reads_only else "run_code")
        return Tool(name, f"The {name} tool.", FieldsOf(Word), adapted, touches)

    return make


@pytest.fixture
def run(place: Environment) -> Callable[..., Awaitable[tuple[list[Event], BaseException | None]]]:
    """Runs a turn to its end: its events, and what it raised."""

    async def drain(
        session: Session, text: str = "Go."
    ) -> tuple[list[Event], BaseException | None]:
        events: list[Event] = []
        try:
            async for event in turn(session, Prompt(text, Snapshot(place))):
                events.append(event)
        except (Exception, asyncio.CancelledError) as error:
            return events, error
        return events, None

    return drain


@pytest.fixture
async def client_for() -> AsyncIterator[Callable[..., Client]]:
    """Builds a client; keywords are settings."""
    async with AsyncExitStack() as stack:

        def build(target: Target, **choices: Any) -> Client:
            client = Client(target, Settings(**choices))
            stack.push_async_callback(client.close)
            return client

        yield build


@pytest.fixture
def session(tmp_path: Path) -> Iterator[RecordedSession]:
    """An open session without anything in it, as its record keeps it."""
    opened = RecordedSession(tmp_path / "s.jsonl")
    yield opened
    opened.record.close()
