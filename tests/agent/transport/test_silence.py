"""A server that falls silent: before it begins, in its answer, and after it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from inkernel.agent import errors
from inkernel.agent.dialects.dialect import Counted, ResponseDone
from inkernel.agent.errors import StreamBrokenError
from inkernel.agent.protocol.events import Usage
from inkernel.agent.protocol.items import Message
from inkernel.agent.providers.catalog import Capabilities
from inkernel.agent.transport import timeouts
from inkernel.agent.transport.client import Client

from .raw_server import DONE, REQUEST, chunked, read_request

Make = Callable[..., Any]
PATIENCE = 20
"""Seconds until a test gives up on what should happen at once."""
LONG = 3600
"""Seconds no test ever waits."""


async def parts_of(client: Client) -> list[Any]:
    return [part async for part in client.sample(REQUEST)]


async def test_events_keep_a_stream_alive_and_comments_do_not(serve: Make, client_for: Make):
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(chunked(b'data: {"type":"acme:ping"}\n\n', whole=False))
        while not reader.at_eof():
            writer.write(b"8\r\n: ping\n\n\r\n")
            await asyncio.sleep(0.02)

    with pytest.raises(errors.StreamBrokenError, match=r"fell silent for 0\.2 s"):
        await parts_of(client_for(await serve(peer), idle_timeout=0.2))


async def test_comments_before_the_first_event_are_a_server_that_is_about_to_begin(
    serve: Make, client_for: Make
):
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(chunked(whole=False))
        for _ in range(20):
            writer.write(b"8\r\n: ping\n\n\r\n")
            await asyncio.sleep(0.05)
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(DONE), DONE))

    assert await parts_of(client_for(await serve(peer), first_event_timeout=0.5)) == [
        ResponseDone(None)
    ]


@pytest.mark.parametrize("answer", [b"", chunked(whole=False)])
async def test_a_server_that_does_not_begin_is_given_up_after_that_time_alone(
    serve: Make, client_for: Make, answer: bytes
):
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await reader.read()

    client = client_for(await serve(peer), first_event_timeout=0.1, connect_timeout=LONG)
    with pytest.raises(StreamBrokenError, match=r"did not begin to answer within 0\.1 s"):
        await asyncio.wait_for(parts_of(client), PATIENCE)


def data(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


def choice(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


CHAT_COUNTS = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
STOP = {"delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 7, "output_tokens": 2}}
ENDED = {
    "chat": data(choice({"content": "Yes."}), choice({}, "stop"), CHAT_COUNTS),
    "messages": data(
        {"type": "message_start", "message": {"id": "m1"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Yes."},
        },
        {"type": "message_delta", **STOP},
    ),
}
"""Answers whose model has stopped, without the end of their streams."""


@pytest.mark.parametrize("dialect", ENDED)
@pytest.mark.parametrize("then", ["silence", "comments", "a broken connection"])
async def test_an_answer_that_has_ended_is_whole_though_its_server_does_not_end_the_stream(
    serve: Make, client_for: Make, monkeypatch: pytest.MonkeyPatch, dialect: Any, then: str
):
    monkeypatch.setattr(timeouts, "GRACE", 0.2)

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(chunked(ENDED[dialect], whole=False))
        while then == "comments" and not reader.at_eof():
            writer.write(b"8\r\n: ping\n\n\r\n")
            await asyncio.sleep(0.02)
        if then == "silence":
            await reader.read()

    target = replace(await serve(peer), traits=Capabilities(dialect=dialect))
    client = client_for(target, idle_timeout=LONG)
    *parts, end = await asyncio.wait_for(parts_of(client), PATIENCE)
    assert [part.text for part in parts if isinstance(part, Message)] == ["Yes."]
    assert isinstance(end, ResponseDone) and end.usage == Usage(input=7, output=2)


async def test_counts_may_follow_the_end_of_an_answer_after_a_while(serve: Make, client_for: Make):
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(chunked(data(choice({"content": "Yes."}, "stop")), whole=False))
        await asyncio.sleep(0.2)
        counts = data(CHAT_COUNTS)
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(counts), counts))

    target = replace(await serve(peer), traits=Capabilities(dialect="chat"))
    *_, end = await parts_of(client_for(target))
    assert isinstance(end, ResponseDone) and end.usage == Usage(input=7, output=2)


CUT = {
    "chat": data(choice({"content": "Y"}, "length"), CHAT_COUNTS) + b"data: [DONE]\n\n",
    "messages": data(
        {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 7}}},
        {"type": "message_delta", "usage": {"output_tokens": 2}, "delta": {}},
    ),
    "responses": data(
        {
            "type": "response.incomplete",
            "response": {"output": [], "usage": {"input_tokens": 7, "output_tokens": 2}},
        }
    ),
    "failed": data(
        {
            "type": "response.failed",
            "response": {"error": {}, "usage": {"input_tokens": 7, "output_tokens": 2}},
        }
    ),
}
"""Answers that were cut off or broke, with what their servers counted of them."""


@pytest.mark.parametrize("cut", CUT)
async def test_what_a_server_counted_of_an_answer_that_fails_comes_before_the_error(
    serve: Make, client_for: Make, cut: str
):
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(chunked(CUT[cut]))

    dialect: Any = "responses" if cut == "failed" else cut
    target = replace(await serve(peer), traits=Capabilities(dialect=dialect))
    parts: list[Any] = []
    with pytest.raises(errors.ModelError):
        async for part in client_for(target).sample(REQUEST):
            parts.append(part)
    assert parts[-1] == Counted(Usage(input=7, output=2))
