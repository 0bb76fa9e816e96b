"""A model that answers at length and writes notes, played to a session, and looks at the result."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.dialects.request import Request
from inkernel.agent.errors import AgentError, ContextLengthError
from inkernel.agent.protocol.events import Event, Usage
from inkernel.agent.protocol.items import Item, parse_item
from inkernel.agent.session import Session
from inkernel.agent.text.tokens import estimate

WINDOW = 5_200
NOTES = '{"state": "Half done.", "plan": ["go on"]}'
LONG = "many words and 1.5 numbers " * 100
Run = Callable[..., Awaitable[tuple[list[Event], BaseException | None]]]


def said(text: str) -> Item:
    part = {"type": "output_text", "text": text, "annotations": []}
    return parse_item({"type": "message", "role": "assistant", "content": [part]})


class Model:
    """Answers at length; `notes`: what it says when it is asked for them, or how that fails.

    `limit`: most tokens of a request. `counts`: tokens of its server for one of ours.
    """

    def __init__(self, notes: str | AgentError = NOTES) -> None:
        self.notes = notes
        self.requests: list[bytes] = []
        self.asked: list[bytes] = []
        self.limit = 1_000_000
        self.counts = 1.0
        self.answer = LONG

    async def sample(self, request: Request) -> AsyncGenerator[SamplePart]:
        items = bytes(request.items[: request.end])
        size = estimate(request.fields) + estimate(items)
        if size > self.limit:
            self.requests.append(items)
            raise ContextLengthError("Too long.")
        if b"about to be shortened" in items[-2_500:]:
            async for part in self.aside(request):
                yield part
            return
        self.requests.append(items)
        yield said(self.answer)
        yield ResponseDone(Usage(input=int(size * self.counts), output=estimate(self.answer)))

    async def aside(self, request: Request) -> AsyncGenerator[SamplePart]:
        self.asked.append(bytes(request.items[: request.end]))
        await asyncio.sleep(0)
        if isinstance(self.notes, AgentError):
            raise self.notes
        yield said(self.notes)
        yield ResponseDone(Usage(input=100, output=10))


def only(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def digest(session: Session) -> str:
    found = session.conversation.digest
    return found.text if found else ""
