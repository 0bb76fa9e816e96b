"""The client's connections: kept, closed at once, not through a proxy; and the list of models."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from inkernel.agent import errors
from inkernel.agent.dialects.dialect import ResponseDone
from inkernel.agent.errors import StreamBrokenError
from inkernel.agent.protocol.events import TextDelta
from inkernel.agent.providers.resolve import Target
from inkernel.agent.scripted.server import ScriptedServer
from inkernel.agent.transport import http as http_module
from inkernel.agent.transport.client import Client
from inkernel.agent.transport.http import list_models

from .raw_server import DONE, REQUEST, chunked, read_request

Make = Callable[..., Any]

DEEP = b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
PATIENCE = 20
"""Seconds until a test gives up on what should happen at once."""
LONG = 3600
"""Seconds no test ever waits."""
YES = '[[turn]]\n[[turn.response]]\nsay = "Yes, it is."\n'


async def left(reader: asyncio.StreamReader) -> bool:
    """The client has closed its side."""
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


def target_of(server: ScriptedServer, key: str | None = None) -> Target:
    return Target("scripted", server.base_url, "m", key, "THE_KEY" if key else None)


async def parts_of(client: Client) -> list[Any]:
    return [part async for part in client.sample(REQUEST)]


async def test_leaving_a_response_closes_its_connection_at_once(serve: Make, client_for: Make):
    gone = asyncio.Event()

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        delta = b'data: {"type":"response.output_text.delta","delta":"Hi"}\n\n'
        writer.write(chunked(delta, whole=False))
        assert await left(reader)
        gone.set()

    client = client_for(await serve(peer))
    async with aclosing(client.sample(REQUEST)) as parts:
        assert await anext(parts) == TextDelta(text="Hi")
    await asyncio.wait_for(gone.wait(), PATIENCE)


@pytest.mark.parametrize("answer", [b"", chunked(whole=False)])
async def test_cancelling_closes_the_connection_at_once(
    serve: Make, client_for: Make, answer: bytes
):
    there, gone = asyncio.Event(), asyncio.Event()

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        there.set()
        assert await left(reader)
        gone.set()

    task = asyncio.create_task(parts_of(client_for(await serve(peer))))
    await asyncio.wait_for(there.wait(), PATIENCE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(gone.wait(), PATIENCE)


@pytest.mark.parametrize(
    "pieces",
    [
        [(DONE, b"data: [DONE]\n\n")],
        [(DONE,)],
        [(DONE,), (b"data: [DONE]\n\n",), (b": the end\n\n",)],
    ],
)
async def test_one_connection_serves_one_request_after_the_other(
    serve: Make, client_for: Make, monkeypatch: pytest.MonkeyPatch, pieces: list[tuple[bytes, ...]]
):
    monkeypatch.setattr(http_module, "_REST", PATIENCE)
    connections = 0

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await read_request(reader):
            for number, some in enumerate(pieces):
                answer = chunked(*some, whole=False)
                writer.write(answer if not number else answer.partition(b"\r\n\r\n")[2])
                await writer.drain()
                await asyncio.sleep(0.01)
            writer.write(b"0\r\n\r\n")

    client = client_for(await serve(peer))
    for _ in range(3):
        assert await parts_of(client) == [ResponseDone(None)]
    assert connections == 1
    await client.close()


async def test_a_stream_left_open_after_its_response_keeps_nobody(serve: Make, client_for: Make):
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(chunked(DONE, whole=False))
        assert await left(reader)

    client = client_for(await serve(peer), idle_timeout=LONG, first_event_timeout=LONG)
    assert await asyncio.wait_for(parts_of(client), PATIENCE) == [ResponseDone(None)]


async def test_a_stream_that_says_done_without_an_answer_is_broken_at_once(
    serve: Make, client_for: Make
):
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(chunked(b"data: [DONE]\n\n", whole=False))
        assert await left(reader)

    client = client_for(await serve(peer), idle_timeout=LONG, first_event_timeout=LONG)
    with pytest.raises(StreamBrokenError, match="ended the stream"):
        await asyncio.wait_for(parts_of(client), PATIENCE)


async def test_a_client_can_be_used_after_it_was_closed(scripted: Make, client_for: Make):
    client = client_for(target_of(scripted(YES)))
    for _ in range(2):
        assert await parts_of(client)
        await client.close()


IN_TWO_LOOPS = """
import asyncio, sys
from inkernel.agent.transport.client import Client
from inkernel.agent.providers.catalog import Capabilities
from inkernel.agent.providers.resolve import Target
from inkernel.agent.dialects.request import Request
from inkernel.agent.config.settings import Settings

async def ask():
    request = Request.of(b'"model":"m"', bytearray(b'{"role":"user","content":"Hello"}'))
    return [part async for part in client.sample(request)][-2].text

target = Target("scripted", sys.argv[1], "m", traits=Capabilities(websocket=True))
client = Client(target, Settings(transport=sys.argv[2]))
for _ in range(2):
    print(asyncio.run(ask()))
asyncio.run(client.close())
print(client.transport.split(",")[0])
"""


@pytest.mark.parametrize(("transport", "name"), [("http", "HTTP"), ("websocket", "WebSocket")])
def test_a_client_can_be_used_by_one_event_loop_after_another(
    scripted: Make, transport: str, name: str
):
    # In a process of its own: a connection whose loop has ended cannot be closed, only dropped,
    # and when the garbage collector does that, nobody knows.
    command = [sys.executable, "-c", IN_TWO_LOOPS, scripted(YES).base_url, transport]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.stdout.splitlines() == ["Yes, it is.", "Yes, it is.", name], ran.stderr


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_a_proxy_is_not_used_to_reach_this_machine(
    scripted: Make, client_for: Make, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    target = target_of(scripted(YES))
    assert await parts_of(client_for(target))
    assert await list_models(target, PATIENCE) == ["scripted"]


async def test_a_proxy_is_used_to_reach_any_other(
    serve: Make, client_for: Make, monkeypatch: pytest.MonkeyPatch
):
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_request(reader))
        writer.write(chunked(DONE))

    asked: list[bytes] = []
    proxy = await serve(peer)
    monkeypatch.setenv("HTTP_PROXY", proxy.base_url.removesuffix("/v1"))
    await parts_of(client_for(Target("far", "http://models.example.org/v1", "m")))
    assert asked[0].startswith(b"POST http://models.example.org/v1/responses HTTP/1.1\r\n")


async def test_the_models_of_a_server_are_listed(scripted: Make):
    server = scripted(f'model = "scripted/x"\n{YES}', key="sk-right")
    assert await list_models(target_of(server, "sk-right"), PATIENCE) == ["scripted/x"]
    with pytest.raises(errors.AuthError, match="THE_KEY"):
        await list_models(target_of(server, "sk-wrong"), PATIENCE)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"data": 3}', b'{"data": [{}]}', DEEP])
async def test_a_server_that_lists_models_otherwise_is_not_the_api(serve: Make, body: bytes):
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    with pytest.raises(errors.ProtocolError, match="does not list models as the API does"):
        await list_models(await serve(peer), PATIENCE)


async def test_a_server_that_does_not_answer_lists_no_models(serve: Make):
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    with pytest.raises(errors.UnreachableError, match="did not answer"):
        await list_models(await serve(peer), 0.3)


async def test_an_error_of_any_length_is_read_only_in_part(serve: Make, client_for: Make):
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 500 Oops\r\n\r\n" + json.dumps({"error": "It broke."}).encode())
        while not reader.at_eof():
            writer.write(b" " * 65536)
            await asyncio.wait({asyncio.ensure_future(writer.drain())}, timeout=0.01)

    with pytest.raises(errors.ServerFaultError, match="It broke"):
        await asyncio.wait_for(parts_of(client_for(await serve(peer))), PATIENCE)


def whole(body: bytes, *headers: bytes) -> bytes:
    """An answer of a known length."""
    lines = (b"HTTP/1.1 200 OK", b"content-length: %d" % len(body), *headers, b"", body)
    return b"\r\n".join(lines)


@pytest.mark.parametrize("coding", [b"gzip", b"zstd", b"br", b"unheard-of"])
async def test_a_compressed_answer_is_not_asked_for_and_not_read(
    serve: Make, client_for: Make, coding: bytes
):
    heads: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        encoding = b"content-encoding: " + coding
        writer.write(whole(b"\x28\xb5", b"content-type: text/event-stream", encoding))

    target = await serve(peer)
    with pytest.raises(errors.ProtocolError, match="compressed with"):
        await parts_of(client_for(target))
    with pytest.raises(errors.ProtocolError, match="compressed with"):
        await list_models(target, PATIENCE)
    assert all(b"accept-encoding: identity" in head.lower() for head in heads)


async def test_a_list_of_models_without_end_is_given_up(serve: Make):
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" " * 1_000_000)
            await writer.drain()

    with pytest.raises(errors.ProtocolError, match="does not list models"):
        await list_models(await serve(peer), LONG)


async def test_a_key_is_blotted_out_where_models_are_listed_however_it_is_written(serve: Make):
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"error":{"message":"Not with sk\\/1, really."}}'
        writer.write(whole(body).replace(b"200 OK", b"401 No"))

    target = await serve(peer)
    with pytest.raises(errors.AuthError, match=r"Not with \[key\], really") as raised:
        await list_models(replace(target, key="sk/1", key_source="A_KEY"), PATIENCE)
    assert "sk/1" not in str(raised.value)


async def test_the_query_of_an_address_stands_after_each_path(serve: Make, client_for: Make):
    asked: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).partition(b" HTTP")[0])
        writer.write(whole(b'{"data":[]}'))

    target = await serve(peer)
    target = replace(target, base_url=f"{target.base_url}?api-version=preview")
    assert await list_models(target, PATIENCE) == []
    for transport in ("http", "websocket"):
        with pytest.raises(errors.ModelError):
            await parts_of(client_for(target, transport=transport))
    assert asked[:3] == [
        b"GET /v1/models?api-version=preview",
        b"POST /v1/responses?api-version=preview",
        b"GET /v1/responses?api-version=preview",
    ]
