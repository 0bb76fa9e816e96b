"""What tests of the connection share: a WebSocket server."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import serve

from .socket_server import Peer, Server, answer_all


@pytest.fixture
async def socket_server() -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """Starts a server; without a `peer` it answers each request with a message."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(peer: Peer | None = None, **choices: Any) -> Server:
            server = Server(peer or (lambda connection: answer_all(server, connection)))
            listening = await stack.enter_async_context(
                serve(server.converse, "127.0.0.1", 0, process_request=server.handshake, **choices)
            )
            server.port = listening.sockets[0].getsockname()[1]
            return server

        yield start
