"""One WebSocket: opened, held and left, and how it breaks."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection as Connection
from websockets.sync.server import serve as serve_in_thread

from inkernel.agent import errors
from inkernel.agent.dialects.request import Request
from inkernel.agent.protocol.events import TextDelta
from inkernel.agent.protocol.items import Message
from inkernel.agent.providers.resolve import Target
from inkernel.agent.transport import websocket as websocket_module

from .socket_server import FIELDS, PATIENCE, SOCKET, Make, Talk, answer, event, message, refusal


async def test_a_connection_is_given_up_before_the_server_closes_it(
    socket_server: Make, client_for: Make, monkeypatch: pytest.MonkeyPatch
):
    server = await socket_server()
    conversation = Talk(client_for(server.target()))
    await conversation.ask("One")
    monkeypatch.setattr(websocket_module, "_LONGEST", 0)
    await conversation.ask("Two")
    assert server.connections == 2
    assert "previous_response_id" not in server.sent[1]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, errors.AuthError), (429, errors.RateLimitError)],
)
async def test_a_handshake_refused_for_key_or_rate_is_the_error_that_http_would_give(
    socket_server: Make, client_for: Make, status: int, kind: type[errors.ModelError]
):
    server = await socket_server()
    said = b'{"error":{"message":"Not with sk-1."}}'
    server.refuse = lambda: refusal(status, said)
    client = client_for(server.target("sk-1"))
    with pytest.raises(kind) as raised:
        await Talk(client).ask("One")
    assert "sk-1" not in str(raised.value)
    assert client.transport.startswith("WebSocket")


@pytest.mark.parametrize("cancelled", [False, True])
async def test_leaving_a_response_closes_its_connection_at_once(
    socket_server: Make, client_for: Make, cancelled: bool
):
    left = asyncio.Event()

    async def peer(connection: ServerConnection) -> None:
        await server.read(connection)
        await connection.send(event("response.output_text.delta", delta="Hi"))
        try:
            await connection.recv()
        except ConnectionClosed:
            left.set()

    server = await socket_server(peer)
    client = client_for(server.target())
    if cancelled:
        task = asyncio.create_task(Talk(client).ask("Hello"))
        while not server.sent:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        items = bytearray(b'{"role":"user","content":"Hello"}')
        async with aclosing(client.sample(Request.of(FIELDS, items))) as parts:
            assert await anext(parts) == TextDelta(text="Hi")
    await asyncio.wait_for(left.wait(), PATIENCE)


@pytest.mark.parametrize(
    ("said", "choices", "words"),
    [
        ((), {"first_event_timeout": 0.1}, "did not begin to answer within 0.1 s"),
        ((event("acme:ping"),), {"idle_timeout": 0.1}, "fell silent for 0.1 s"),
    ],
)
async def test_a_silent_server_is_waited_for_only_so_long(
    socket_server: Make, client_for: Make, said: tuple[str, ...], choices: Any, words: str
):
    async def peer(connection: ServerConnection) -> None:
        await server.read(connection)
        for one in said:
            await connection.send(one)
        await connection.recv()

    server = await socket_server(peer)
    with pytest.raises(errors.StreamBrokenError, match=words):
        await Talk(client_for(server.target(), **choices)).ask("Hello")


async def test_a_redirect_is_not_followed_with_the_key(socket_server: Make, client_for: Make):
    other, server = await socket_server(), await socket_server()
    elsewhere = f"ws://127.0.0.1:{other.port}/v1/responses"
    server.refuse = lambda: refusal(307, location=elsewhere)
    with pytest.raises(errors.ModelError):
        await Talk(client_for(server.target("sk-1"))).ask("Hello")
    assert other.connections == 0


async def test_a_port_nobody_listens_on_is_unreachable(client_for: Make):
    target = Target("raw", "http://127.0.0.1:9/v1", "m", traits=SOCKET)
    with pytest.raises(errors.UnreachableError, match="cannot be reached"):
        await Talk(client_for(target)).ask("Hello")


async def test_what_was_left_over_from_an_answer_is_not_read_as_the_next(
    socket_server: Make, client_for: Make
):
    async def peer(connection: ServerConnection) -> None:
        while True:
            await server.read(connection)
            for _ in range(2):
                await answer(connection, len(server.sent))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target()))
    for number in (1, 2, 3):
        parts = await conversation.ask("Next?")
        assert [part.text for part in parts if isinstance(part, Message)] == [f"Answer {number}."]
    assert server.connections == 3


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1008, errors.RequestRefusedError),
        (1009, errors.RequestRefusedError),
        (1011, errors.StreamBrokenError),
    ],
)
async def test_the_reason_for_which_a_connection_was_closed_is_told(
    socket_server: Make, client_for: Make, code: int, kind: type[errors.ModelError]
):
    async def peer(connection: ServerConnection) -> None:
        await server.read(connection)
        await connection.close(code, "No more for sk-1.")

    server = await socket_server(peer)
    with pytest.raises(kind, match=r"It says: No more for \[key\]\.") as raised:
        await Talk(client_for(server.target("sk-1"))).ask("Hello")
    assert "sk-1" not in str(raised.value)


async def test_the_key_is_in_no_log(
    socket_server: Make, client_for: Make, caplog: pytest.LogCaptureFixture
):
    server = await socket_server()
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("websockets.server").setLevel(logging.ERROR)
        await Talk(client_for(server.target("sk-1"))).ask("Hello")
    assert "sk-1" not in caplog.text and "GET /" not in caplog.text


@contextlib.contextmanager
def apart(converse: Callable[[Connection], None]) -> Iterator[Target]:
    """A server on a thread of its own, that goes on while an event loop stands still."""
    server = serve_in_thread(converse, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.socket.getsockname()[1]}/v1"
        yield Target("raw", address, "m", traits=SOCKET)
    finally:
        server.shutdown()
        thread.join()


def completed(number: int) -> str:
    return event("response.completed", response={"id": "r", "output": [message(number)]})


async def test_what_came_while_the_event_loop_stood_still_is_not_the_next_answer(client_for: Make):
    late = threading.Event()

    def converse(connection: Connection) -> None:
        for _ in connection:
            number = 2 if late.is_set() else 1
            connection.send(completed(number))
            if number == 1:
                time.sleep(0.1)
                connection.send(completed(1))
                late.set()

    with apart(converse) as target:
        conversation = Talk(client_for(target))
        await conversation.ask("One")
        assert late.wait(PATIENCE)
        time.sleep(0.05)
        parts = await conversation.ask("Two")
        await conversation.client.close()
    assert [part.text for part in parts if isinstance(part, Message)] == ["Answer 2."]
