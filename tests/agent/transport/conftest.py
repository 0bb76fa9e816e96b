"""What tests of the connection share: a WebSocket server, and one of bytes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio import server as websocket_server

from inkernel.agent.providers.resolve import Target

from .raw_server import Peer as RawPeer
from .socket_server import Peer, Server, answer_all


@pytest.fixture
async def socket_server() -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """Starts a server; without a `peer` it answers each request with a message."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(peer: Peer | None = None, **choices: Any) -> Server:
            server = Server(peer or (lambda connection: answer_all(server, connection)))
            listening = await stack.enter_async_context(
                websocket_server.serve(
                    server.converse, "127.0.0.1", 0, process_request=server.handshake, **choices
                )
            )
            server.port = listening.sockets[0].getsockname()[1]
            return server

        yield start


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[RawPeer], Awaitable[Target]]]:
    """Starts a server that leaves each connection to `peer`; where it is."""
    servers: list[asyncio.Server] = []
    conversations: list[asyncio.Task[None]] = []

    async def start(peer: RawPeer) -> Target:
        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                await peer(reader, writer)
                writer.close()
                await writer.wait_closed()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            conversations.append(asyncio.create_task(converse(reader, writer)))
            conversations[-1].add_done_callback(lambda _: writer.transport.abort())

        servers.append(await asyncio.start_server(connected, "127.0.0.1", 0))
        return Target("raw", f"http://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}/v1", "m")

    yield start
    for server in servers:
        server.close()
    for conversation in conversations:
        conversation.cancel()
    ended = await asyncio.gather(*conversations, return_exceptions=True)
    assert not [error for error in ended if isinstance(error, Exception)]
