"""Which transport a request takes, and when a WebSocket gives way to HTTP."""

import asyncio
import contextlib
from contextlib import aclosing

import pytest
from websockets.asyncio.server import ServerConnection

from inkernel.agent import errors
from inkernel.agent.dialects.dialect import ResponseDone
from inkernel.agent.dialects.request import Request
from inkernel.agent.protocol.events import Notice
from inkernel.agent.providers.resolve import Target
from inkernel.agent.transport.client import MOST_FAILURES

from .socket_server import FIELDS, SOCKET, Make, Talk, answer, refusal

YES = '[[turn]]\n[[turn.response]]\nsay = "Yes."\n'


async def test_a_resting_connection_that_was_closed_is_no_failure_of_the_transport(
    socket_server: Make, client_for: Make
):
    async def peer(connection: ServerConnection) -> None:
        await server.read(connection)
        await answer(connection, len(server.sent))

    server = await socket_server(peer)
    client = client_for(server.target())
    for number in range(MOST_FAILURES + 1):
        other = Request.of(b'"model":"m%d"' % number, bytearray(b'{"role":"user"}'))
        while True:
            try:
                parts = [part async for part in client.sample(other)]
                break
            except errors.ResponseGoneError as error:
                assert error.retryable
        assert not [part for part in parts if isinstance(part, Notice)]
    assert client.transport.startswith("WebSocket")


@pytest.mark.parametrize("status", [307, 400, 403, 404, 426, 500, 502, 503, 504])
async def test_a_server_without_websockets_is_asked_over_http(
    socket_server: Make, client_for: Make, status: int
):
    server = await socket_server()
    server.refuse = lambda: refusal(status)
    client = client_for(server.target())
    assert client.transport.startswith("WebSocket")
    with pytest.raises(errors.ModelError):  # this server speaks no HTTP besides
        await Talk(client).ask("One")
    assert client.transport == "HTTP, the whole conversation at each request"


@pytest.mark.parametrize("status", [403, 407, 502, 503])
async def test_a_refused_handshake_costs_one_try_and_one_notice_in_a_session(
    scripted: Make, client_for: Make, session_for: Make, run: Make, status: int
):
    server = scripted(f"websocket = {{ status = {status}, times = 1 }}\n{YES * 3}")
    target = Target("scripted", server.base_url, "m", traits=SOCKET)
    session = session_for(client_for(target).sample, target=target)
    seen = [await run(session, text) for text in ("One?", "Two?", "Three?")]
    assert [error for _, error in seen] == [None, None, None]
    notices = [it.text for events, _ in seen for it in events if isinstance(it, Notice)]
    assert len(notices) == 1
    assert f"opened no WebSocket (HTTP {status}): this session goes on over HTTP" in notices[0]
    assert len(server.requests) == 3
    assert not any(b"response.create" in body for body in server.requests)  # no second handshake


async def test_a_websocket_that_fails_again_and_again_gives_way_to_http_with_a_notice(
    socket_server: Make, client_for: Make
):
    async def peer(connection: ServerConnection) -> None:
        await server.read(connection)

    server = await socket_server(peer)
    client = client_for(server.target())
    conversation = Talk(client)
    for _ in range(MOST_FAILURES):
        with pytest.raises(errors.StreamBrokenError):
            await conversation.ask("Hello?")
    async with aclosing(client.sample(Request.of(FIELDS, conversation.items))) as parts:
        notice = await anext(parts)
    assert isinstance(notice, Notice)
    assert "failed 3 times: this session goes on over HTTP" in notice.text
    assert client.transport.startswith("HTTP")


async def test_the_settings_choose_the_transport(socket_server: Make, client_for: Make):
    server = await socket_server()
    assert client_for(server.target(), transport="http").transport.startswith("HTTP, the whole")
    assert client_for(server.target(), transport="http", store=True).transport.startswith(
        "HTTP, new"
    )
    plain = Target("raw", server.target().base_url, "m")
    assert client_for(plain).transport.startswith("HTTP")
    conversation = Talk(client_for(plain, transport="websocket"))
    assert isinstance((await conversation.ask("One"))[-1], ResponseDone)


async def test_an_answer_between_sets_the_count_of_failures_back(
    socket_server: Make, client_for: Make
):
    async def peer(connection: ServerConnection) -> None:
        await server.read(connection)
        if len(server.sent) % MOST_FAILURES == 0:
            await answer(connection, len(server.sent))

    server = await socket_server(peer)
    client = client_for(server.target())
    for number in range(3 * MOST_FAILURES):
        other = Request.of(b'"model":"m%d"' % number, bytearray(b'{"role":"user"}'))
        with contextlib.suppress(errors.StreamBrokenError, errors.ResponseGoneError):
            assert not [x async for x in client.sample(other) if isinstance(x, Notice)]
    assert client.transport.startswith("WebSocket")


async def test_a_server_that_is_not_there_is_a_failure_of_the_transport(client_for: Make):
    client = client_for(Target("raw", "http://127.0.0.1:9/v1", "m", traits=SOCKET))
    for _ in range(MOST_FAILURES):
        with pytest.raises(errors.UnreachableError):
            await Talk(client).ask("Hello")
        assert client.transport.startswith("WebSocket")
    with pytest.raises(errors.UnreachableError):
        await Talk(client).ask("Hello")
    assert client.transport.startswith("HTTP")


async def test_a_handshake_that_is_cut_is_a_failure_not_a_server_without_websockets(
    client_for: Make,
):
    def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        client = client_for(Target("raw", address, "m", traits=SOCKET))
        with pytest.raises(errors.StreamBrokenError, match="without an answer"):
            await Talk(client).ask("Hello")
    assert client.transport.startswith("WebSocket")


async def test_a_handshake_that_takes_too_long_gives_way_to_http_with_a_notice(client_for: Make):
    asked: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).partition(b" ")[0])
        if asked[-1] == b"POST":
            done = b'data: {"type":"response.completed","response":{"output":[]}}\n\n'
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + done)
        else:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(peer, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        client = client_for(Target("raw", address, "m", traits=SOCKET), connect_timeout=0.3)
        parts = await Talk(client).ask("Hello")
        again = await Talk(client).ask("Hello")
    assert [type(part) for part in parts] == [Notice, ResponseDone]
    assert parts[0].text.endswith("opened no WebSocket in time: this session goes on over HTTP.")
    assert [type(part) for part in again] == [ResponseDone]
    assert asked == [b"GET", b"POST", b"POST"]
