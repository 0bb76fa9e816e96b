"""A WebSocket server that plays a peer, and a conversation as the session keeps it."""

import contextlib
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as Handshake
from websockets.http11 import Response as Refusal

from inkernel.agent.dialects.request import Request
from inkernel.agent.providers.catalog import Capabilities
from inkernel.agent.providers.resolve import Target
from inkernel.agent.transport.client import Client

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

    def __init__(self, client: Client, fields: bytes = FIELDS) -> None:
        self.client = client
        self.fields = fields
        self.items = bytearray()

    def add(self, *items: dict[str, Any]) -> None:
        for item in items:
            self.items += (b"," if self.items else b"") + json.dumps(item).encode()

    async def ask(self, text: str) -> list[Any]:
        """Say something; the answer's items join the conversation."""
        self.add({"role": "user", "content": text})
        parts: list[Any] = []
        async with aclosing(self.client.sample(Request.of(self.fields, self.items))) as coming:
            async for part in coming:
                parts.append(part)
                if hasattr(part, "wire"):
                    self.items += b"," + part.wire
        return parts
