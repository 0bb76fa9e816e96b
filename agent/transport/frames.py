"""The messages of a WebSocket, as many at once as have come. Knows no request and no event.

The library makes the connection, and reads everything but plain frames: whole messages of text,
neither masked nor compressed. A stream has thousands of those, and they are cut out here.
Source: RFC 6455, section 5.2.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import Event, State

from .sse import MAX_EVENT_BYTES

_PLAIN = 0x81
"""The first byte of a plain frame."""
_LONGEST_SHORT, _MASKED = 125, 0x80
"""Values of the second byte: the longest payload that it can tell, and a bit of a client's."""
_HEAD_END = b"\r\n\r\n"


class MessageConnection(ClientConnection):
    """A connection whose messages are read with `messages`. `recv` only tells why it closed."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._take: Callable[[bytes], None] = self._shake_hands
        self._before = b""
        self._waiting, self._missing = list[bytes](), 0
        self._parts = list[bytes]()
        self._messages = list[bytes]()
        self._came = asyncio.Event()

    async def messages(self) -> list[bytes]:
        """All messages that have come, at least one. Raises ConnectionClosed."""
        while not self._messages:
            if self.state is State.CLOSED:
                await self.recv()
            self._came.clear()
            await self._came.wait()
        taken, self._messages = self._messages, []
        self.transport.resume_reading()
        return taken

    async def is_quiet(self) -> bool:
        """True if the connection is open and no message is unread.

        It lets the event loop go round twice, because that reads at the end of a round.
        """
        for _ in range(2):
            await asyncio.sleep(0)
        return self.protocol.state is State.OPEN and not self._messages

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket, and no more of them until the messages are read."""
        self._take(data)
        if self._messages:
            self.transport.pause_reading()
            self._came.set()

    def process_event(self, event: Event) -> None:
        """Take a message that the library read."""
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
            return
        self._parts.append(bytes(event.data))
        if event.fin:
            self._messages.append(b"".join(self._parts))
            self._parts.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the reader, so that it finds the connection closed."""
        super().connection_lost(exc)
        self._came.set()

    def _shake_hands(self, data: bytes) -> None:
        """Hand over the answer to the handshake, up to its last byte. Frames may follow it."""
        known = len(self._before)
        end = (self._before + data).find(_HEAD_END)
        self._before = (self._before + data)[1 - len(_HEAD_END) :]
        head = len(data) if end < 0 else end + len(_HEAD_END) - known
        super().data_received(data[:head])
        if end >= 0:
            plain = self.protocol.state is State.OPEN and not self.protocol.extensions
            self._take = self._cut if plain else super().data_received
            self._take(data[head:])

    def _cut(self, data: bytes) -> None:
        """Cut off whole frames. The start of an unfinished one waits until all of it is there."""
        self._waiting.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            return
        data, at = b"".join(self._waiting), 0
        while size := _frame_size(data, at):
            head, payload = size
            after = at + head + payload
            if payload > MAX_EVENT_BYTES or self.protocol.state is not State.OPEN:
                self._take = super().data_received  # this is its end, which the library settles
                self._take(data[at:])
                return
            if after > len(data):
                break
            if data[at] == _PLAIN and data[at + 1] < _MASKED and not self._parts:
                self._messages.append(data[at + head : after])
            else:
                super().data_received(data[at:after])
            at = after
        self._waiting = [data[at:]]
        self._missing = sum(size) + at - len(data) if size else 1


def _frame_size(data: bytes, at: int) -> tuple[int, int] | None:
    """The bytes of a frame's head and of its payload, or None if the head is not all there."""
    if len(data) < at + 2:
        return None
    short = data[at + 1] & ~_MASKED
    if short <= _LONGEST_SHORT:
        return 2, short
    head = 4 if short == 126 else 10
    return (
        (head, int.from_bytes(data[at + 2 : at + head], "big")) if len(data) >= at + head else None
    )
