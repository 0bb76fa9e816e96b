"""The line to the model over a WebSocket: what is sent, what is held, and how it breaks."""

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as Handshake
from websockets.http11 import Response as Refusal
from websockets.sync.server import ServerConnection as Connection
from websockets.sync.server import serve as serve_in_thread

from inkernel.agent import errors
from inkernel.agent.protocol.events import Notice, TextDelta
from inkernel.agent.protocol.items import Message
from inkernel.agent.providers.catalog import Capabilities
from inkernel.agent.providers.resolve import Target
from inkernel.agent.responses import websocket as websocket_module
from inkernel.agent.responses.client import MOST_FAILURES, Client
from inkernel.agent.responses.request import Request
from inkernel.agent.responses.stream import ResponseDone

Make = Callable[..., Any]
Peer = Callable[[ServerConnection], Awaitable[None]]

FIELDS = b'"model":"m","store":false'
SOCKET = Capabilities(websocket=True, stores=True)
PATIENCE = 20
"""Seconds until a test gives up on what should happen at once."""
LONG = 3600
"""Seconds no test ever waits."""


class Server:
    """A WebSocket server that plays `peer`: what it was sent, how often it was connected to."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.sent: list[Any] = []
        self.connections = 0
        self.refuse: Callable[[], Refusal | None] = lambda: None
        self.headers: Any = None
        self.port = 0

    def target(self, key: str | None = None) -> Target:
        address = f"http://127.0.0.1:{self.port}/v1"
        return Target("raw", address, "m", key, "A_KEY" if key else None, traits=SOCKET)

    async def converse(self, connection: ServerConnection) -> None:
        self.connections += 1
        self.headers = connection.request.headers if connection.request else None
        with contextlib.suppress(ConnectionClosed):
            await self.peer(connection)

    def handshake(self, _connection: ServerConnection, _request: Handshake) -> Refusal | None:
        return self.refuse()

    async def read(self, connection: ServerConnection) -> Any:
        frame = json.loads(await connection.recv())
        self.sent.append(frame)
        return frame


@pytest.fixture
async def socket_server() -> AsyncIterator[Callable[[Peer | None], Awaitable[Server]]]:
    """Starts a server; without a `peer` it answers each request with a message."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(peer: Peer | None = None) -> Server:
            server = Server(peer or (lambda connection: answer_all(server, connection)))
            listening = await stack.enter_async_context(
                serve(server.converse, "127.0.0.1", 0, process_request=server.handshake)
            )
            server.port = listening.sockets[0].getsockname()[1]
            return server

        yield start


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


def message(number: int) -> dict[str, Any]:
    part = {"type": "output_text", "text": f"Answer {number}.", "annotations": []}
    return {"type": "message", "id": f"msg_{number}", "role": "assistant", "content": [part]}


async def answer(connection: ServerConnection, number: int) -> None:
    await connection.send(event("response.output_item.done", item=message(number)))
    response = {"id": f"resp_{number}", "output": [message(number)]}
    await connection.send(event("response.completed", response=response))


async def answer_all(server: Server, connection: ServerConnection) -> None:
    while True:
        await server.read(connection)
        await answer(connection, len(server.sent))


def refusal(status: int, body: bytes = b"", **more: str) -> Refusal:
    headers = Headers({"content-length": str(len(body)), "connection": "close", **more})
    return Refusal(status, "No", headers, body)


def gone(code: str = "previous_response_not_found") -> str:
    return event("error", status=400, error={"code": code, "message": "It is gone."})


class Talk:
    """A conversation as the session keeps it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.items = bytearray()

    def add(self, *items: dict[str, Any]) -> None:
        for item in items:
            self.items += (b"," if self.items else b"") + json.dumps(item).encode()

    async def ask(self, text: str) -> list[Any]:
        """Say something; the answer's items join the conversation."""
        self.add({"role": "user", "content": text})
        parts: list[Any] = []
        async with aclosing(self.client.sample(Request.of(FIELDS, self.items))) as coming:
            async for part in coming:
                parts.append(part)
                if hasattr(part, "wire"):
                    self.items += b"," + part.wire
        return parts


async def test_only_what_is_new_is_sent_over_one_connection(socket_server: Make, client_for: Make):
    server = await socket_server()
    conversation = Talk(client_for(server.target("sk-1")))
    for text in ("One", "Two", "Three"):
        assert isinstance((await conversation.ask(text))[-1], ResponseDone)
    first, second, third = server.sent
    assert first == {
        "type": "response.create",
        "model": "m",
        "store": False,
        "input": [{"role": "user", "content": "One"}],
    }
    assert second["previous_response_id"] == "resp_1"
    assert second["input"] == [{"role": "user", "content": "Two"}]
    assert third["previous_response_id"] == "resp_2"
    assert third["input"] == [{"role": "user", "content": "Three"}]
    assert server.connections == 1
    assert server.headers["authorization"] == "Bearer sk-1"


async def test_after_a_change_of_the_fields_the_request_is_whole(
    socket_server: Make, client_for: Make
):
    server = await socket_server()
    conversation = Talk(client_for(server.target()))
    await conversation.ask("One")
    conversation.add({"role": "user", "content": "Two"})
    async for _ in conversation.client.sample(Request.of(b'"model":"n"', conversation.items)):
        pass
    assert "previous_response_id" not in server.sent[1]
    assert len(server.sent[1]["input"]) == 3


@pytest.mark.parametrize(
    "code", ["previous_response_not_found", "websocket_connection_limit_reached"]
)
async def test_when_the_server_has_let_go_the_request_is_sent_whole_at_once(
    socket_server: Make, client_for: Make, code: str
):
    async def peer(connection: ServerConnection) -> None:
        while True:
            frame = await server.read(connection)
            if "previous_response_id" in frame:
                await connection.send(gone(code))
            else:
                await answer(connection, len(server.sent))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target()))
    await conversation.ask("One")
    parts = await conversation.ask("Two")
    assert [part for part in parts if isinstance(part, Notice)] == []
    assert isinstance(parts[-1], ResponseDone)
    assert len(server.sent[2]["input"]) == 3
    assert [part.text for part in parts if hasattr(part, "text")] == ["Answer 3."]


async def test_when_a_resting_connection_was_closed_a_new_one_gets_the_whole(
    socket_server: Make, client_for: Make
):
    async def peer(connection: ServerConnection) -> None:
        await server.read(connection)
        await answer(connection, len(server.sent))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target()))
    for text in ("One", "Two", "Three"):
        assert isinstance((await conversation.ask(text))[-1], ResponseDone)
    assert server.connections == 3
    assert [len(frame["input"]) for frame in server.sent] == [1, 3, 5]


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


@pytest.mark.parametrize("status", [404, 405, 426, 501])
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


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, errors.AuthError), (429, errors.RateLimitError), (503, errors.ServerFaultError)],
)
async def test_a_refused_handshake_is_the_error_that_its_status_is(
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


async def test_a_connection_that_breaks_in_an_answer_is_a_broken_stream_then_the_whole_is_sent(
    socket_server: Make, client_for: Make
):
    async def peer(connection: ServerConnection) -> None:
        while True:
            await server.read(connection)
            if len(server.sent) == 2:
                await connection.send(event("response.output_text.delta", delta="Half "))
                connection.transport.abort()
            else:
                await answer(connection, len(server.sent))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target()))
    await conversation.ask("One")
    with pytest.raises(errors.StreamBrokenError, match="in the middle"):
        await conversation.ask("Two")
    assert isinstance((await conversation.ask("Three"))[-1], ResponseDone)
    assert "previous_response_id" in server.sent[1]
    assert len(server.sent[2]["input"]) == 4


async def test_an_error_is_followed_by_a_whole_request(socket_server: Make, client_for: Make):
    async def peer(connection: ServerConnection) -> None:
        while True:
            await server.read(connection)
            if len(server.sent) == 2:
                error = {"code": "server_error", "message": "It broke."}
                await connection.send(event("response.failed", response={"error": error}))
            else:
                await answer(connection, len(server.sent))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target()))
    await conversation.ask("One")
    with pytest.raises(errors.ServerFaultError, match="It broke"):
        await conversation.ask("Two")
    await conversation.ask("Three")
    assert "previous_response_id" not in server.sent[2]


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


async def test_a_stored_response_is_gone_on_from_on_a_new_connection(
    socket_server: Make, client_for: Make, monkeypatch: pytest.MonkeyPatch
):
    server = await socket_server()
    conversation = Talk(client_for(server.target(), store=True))
    await conversation.ask("One")
    monkeypatch.setattr(websocket_module, "_LONGEST", 0)
    await conversation.ask("Two")
    assert server.connections == 2
    assert server.sent[1]["previous_response_id"] == "resp_1"


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


async def test_an_answer_of_which_items_were_left_out_is_not_built_on(
    socket_server: Make, client_for: Make
):
    other = {**message(1), "content": [{"type": "output_text", "text": "Other words."}]}

    async def peer(connection: ServerConnection) -> None:
        while True:
            await server.read(connection)
            response = {"id": "resp_1", "output": [message(1), other]}
            await connection.send(event("response.completed", response=response))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target()))
    await conversation.ask("One")
    await conversation.ask("Two")
    assert "previous_response_id" not in server.sent[1]
    assert server.connections == 1


@pytest.mark.parametrize("error", [{"status": 400}, {"status": 404}, {"code": "invalid_prompt"}])
async def test_what_is_refused_as_a_continuation_is_asked_whole(
    socket_server: Make, client_for: Make, error: dict[str, Any]
):
    async def peer(connection: ServerConnection) -> None:
        while True:
            frame = await server.read(connection)
            if "previous_response_id" in frame:
                code = {"code": error.get("code"), "message": "No."}
                await connection.send(event("error", status=error.get("status"), error=code))
            else:
                await answer(connection, len(server.sent))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target()))
    await conversation.ask("One")
    assert isinstance((await conversation.ask("Two"))[-1], ResponseDone)
    assert len(server.sent[2]["input"]) == 3


@pytest.mark.parametrize("begun", [True, False])
async def test_a_continuation_is_not_asked_whole_when_it_had_begun_or_is_too_long(
    socket_server: Make, client_for: Make, begun: bool
):
    async def peer(connection: ServerConnection) -> None:
        while True:
            frame = await server.read(connection)
            if "previous_response_id" not in frame:
                await answer(connection, len(server.sent))
                continue
            if begun:
                await connection.send(event("response.output_text.delta", delta="Half "))
            code = "invalid_prompt" if begun else "context_length_exceeded"
            await connection.send(event("error", error={"code": code, "message": "No."}))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target(), store=True))
    await conversation.ask("One")
    kind = errors.RequestRefusedError if begun else errors.ContextLengthError
    with pytest.raises(kind):
        await conversation.ask("Two")
    assert len(server.sent) == 2
    await conversation.ask("Three")  # nor is the response before the failure gone on from
    assert "previous_response_id" not in server.sent[2]


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
        for name in ("websockets.server", "inkernel.websocket"):
            logging.getLogger(name).setLevel(logging.ERROR if "server" in name else logging.DEBUG)
        await Talk(client_for(server.target("sk-1"))).ask("Hello")
    assert "sk-1" not in caplog.text


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
