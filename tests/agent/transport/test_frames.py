"""The messages of a WebSocket: cut out of any chunks of bytes, compressed or not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from inkernel.agent.config.settings import Settings
from inkernel.agent.protocol.verbatim_json import dumps
from inkernel.agent.providers.resolve import Target
from inkernel.agent.transport.frames import MessageConnection
from inkernel.agent.transport.sse import MAX_EVENT_BYTES
from inkernel.agent.transport.websocket import WebSocket

from .socket_server import FIELDS, PATIENCE, Make, Talk, answer

HEAD = "".join(chr(40 + n) for n in Random(7).choices(range(50), k=10_000))
"""Ten thousand characters that hardly compress by themselves."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def shake(streams: Streams, extensions: Sequence[Any] = ()) -> tuple[ServerProtocol, bytes]:
    """Read the handshake; the server's side of it, and the bytes of its answer."""
    protocol = ServerProtocol(extensions=list(extensions), max_size=None)
    protocol.receive_data(await streams[0].readuntil(b"\r\n\r\n"))
    (request,) = protocol.events_received()
    assert isinstance(request, Request)
    protocol.send_response(protocol.accept(request))
    return protocol, b"".join(protocol.data_to_send())


@contextlib.asynccontextmanager
async def served(talk: Callable[[Streams], Awaitable[None]]) -> AsyncIterator[str]:
    """A server that talks to each connection, and its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await talk((reader, writer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def heard(chunks: Callable[[ServerProtocol, bytes], Sequence[bytes]]) -> list[bytes]:
    """The messages that a client reads when a server sends such chunks, until it leaves."""

    async def talk(streams: Streams) -> None:
        reader, writer = streams
        for chunk in chunks(*await shake(streams)):
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(CLOSING)
        with contextlib.suppress(TimeoutError):  # an answer that nobody reads resets the connection
            async with asyncio.timeout(0.05):
                while await reader.read(1000):
                    pass

    messages: list[bytes] = []
    async with served(talk) as address, asyncio.timeout(PATIENCE):
        opened = await connect(
            address, create_connection=MessageConnection, compression=None, max_size=MAX_EVENT_BYTES
        )
        assert isinstance(opened, MessageConnection)
        with contextlib.suppress(ConnectionClosed):
            while True:
                messages += await opened.messages()
    return messages


def text(payload: bytes, *, fin: bool = True, opcode: Opcode = Opcode.TEXT) -> bytes:
    return Frame(opcode, payload, fin=fin).serialize(mask=False)


CLOSING = text(Close(CloseCode.NORMAL_CLOSURE, "").serialize(), opcode=Opcode.CLOSE)
SIZES = st.one_of(st.integers(0, 130), st.sampled_from([65_535, 65_536, 200_000]))
HOW = st.sampled_from(["plain", "binary", "parts", "after a ping"])


def frames(payload: bytes, how: str) -> bytes:
    if how == "parts":
        middle = len(payload) // 2
        last = text(payload[middle:], opcode=Opcode.CONT)
        return text(payload[:middle], fin=False) + text(b"", opcode=Opcode.PING) + last
    ping = text(b"hi", opcode=Opcode.PING) if how == "after a ping" else b""
    return ping + text(payload, opcode=Opcode.BINARY if how == "binary" else Opcode.TEXT)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(SIZES, HOW), max_size=6),
    st.lists(st.integers(0, 2000), max_size=12),
    st.booleans(),
)
def test_messages_are_the_same_in_any_chunks(
    said: list[tuple[int, str]], cuts: list[int], at_once: bool
) -> None:
    payloads = [bytes([65 + at]) * size for at, (size, _) in enumerate(said)]

    def chunks(_protocol: ServerProtocol, answer: bytes) -> list[bytes]:
        sent = b"".join(frames(it, how) for it, (_, how) in zip(payloads, said, strict=True))
        start, data = ([], answer + sent) if at_once else ([answer], sent)
        places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
        return [*start, *(data[a:b] for a, b in pairwise(places) if a < b)]

    assert asyncio.run(heard(chunks)) == payloads


@pytest.mark.parametrize(
    "bad",
    [
        Frame(Opcode.TEXT, b"masked").serialize(mask=True),
        bytes([0x81, 127]) + (MAX_EVENT_BYTES + 1).to_bytes(8, "big"),
        bytes([0x83, 0]),
        bytes([0xC1, 1]) + b"?",
        text(b"never begun", opcode=Opcode.CONT),
        text(b"half", fin=False) + text(b"another"),
    ],
    ids=["masked", "too long", "reserved", "compressed unasked", "no start", "no end"],
)
async def test_a_bad_frame_ends_the_connection_after_the_messages_before_it(bad: bytes) -> None:
    def chunks(_protocol: ServerProtocol, answer: bytes) -> list[bytes]:
        return [answer, text(b"one") + text(b"two") + bad + text(b"three")]

    assert await heard(chunks) == [b"one", b"two"]


async def test_nothing_is_read_after_the_server_has_closed() -> None:
    def chunks(_protocol: ServerProtocol, answer: bytes) -> list[bytes]:
        return [answer + text(b"one") + CLOSING + text(b"two")]

    assert await heard(chunks) == [b"one"]


async def test_a_client_that_reads_nothing_stops_the_server() -> None:
    stuck = asyncio.Event()

    async def talk(streams: Streams) -> None:
        streams[1].write((await shake(streams))[1])
        with contextlib.suppress(TimeoutError):
            while True:
                streams[1].write(text(b"x" * 65_536))
                async with asyncio.timeout(0.5):
                    await streams[1].drain()
        stuck.set()

    async with served(talk) as address, asyncio.timeout(PATIENCE):
        opened = await connect(address, create_connection=MessageConnection, compression=None)
        assert isinstance(opened, MessageConnection)
        await stuck.wait()
        assert sum(map(len, await opened.messages())) < 1 << 20
        opened.transport.abort()


class Counting(ServerConnection):
    """A server's connection that counts the bytes it receives."""

    received = 0

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        super().data_received(data)


async def sizes(socket_server: Make, client_for: Make, **choices: Any) -> list[int]:
    """The bytes on the wire of three requests with the same long head."""
    received: list[int] = []

    async def peer(connection: ServerConnection) -> None:
        assert isinstance(connection, Counting)
        while True:
            before = connection.received
            assert (await server.read(connection))["instructions"] == HEAD
            received.append(connection.received - before)
            await answer(connection, len(server.sent))

    deflate = ServerPerMessageDeflateFactory()
    server = await socket_server(
        peer, compression=None, extensions=[deflate], create_connection=Counting
    )
    fields = FIELDS + b',"instructions":' + dumps(HEAD)
    talk = Talk(client_for(server.target(), **choices), fields)
    for text in ("One", "Two", "Three"):
        (item, _end) = await talk.ask(text)
        assert item.text == f"Answer {len(received)}."
    return received


async def test_a_compressed_connection_repeats_the_head_for_next_to_nothing(
    socket_server: Make, client_for: Make
) -> None:
    first, *later = await sizes(socket_server, client_for, compress=True)
    assert first > len(HEAD) / 4
    assert max(later) < 400


@pytest.mark.parametrize("compress", ["auto", False])
async def test_a_connection_to_this_machine_is_not_compressed(
    socket_server: Make, client_for: Make, compress: Any
) -> None:
    assert min(await sizes(socket_server, client_for, compress=compress)) > len(HEAD)


def test_a_connection_to_another_machine_is_compressed_where_the_server_agrees() -> None:
    def offers(address: str, **choices: Any) -> bool:
        target = Target("x", address, "m", None, None)
        return WebSocket(target, Settings(**choices)).compresses

    assert offers("https://api.example.com/v1")
    assert not offers("https://api.example.com/v1", compress=False)
    assert not offers("http://127.0.0.1:8000/v1")
