"""A scripted server's WebSocket: the same events, one response at a time. Knows no HTTP.

Source: https://www.openresponses.org/specification, edition of 2026-04-24.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from ..protocol.verbatim_json import dumps
from .answers import PlayedResponse, Refusal, error_object
from .service import ROOT, Service
from .state import Lane

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Most bytes of a client's message."""
_READ = 64 * 1024
_GOODBYE = 1.0
"""Seconds to wait for the client's close frame."""
_WAITING = 16
"""Most messages that wait for an answer."""
_LIMIT = "websocket_connection_limit_reached"


class Socket:
    """One connection, from its handshake to its end."""

    def __init__(
        self,
        service: Service,
        log: Callable[[str, str, int, str], None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._service = service
        self._log = log
        self._reader = reader
        self._writer = writer
        self._protocol = ServerProtocol(max_size=MAX_MESSAGE_BYTES)
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)
        self._lane = Lane()

    async def serve(self, received: bytes) -> None:
        """Answer messages until either side, or the script, ends the connection.

        `received`: the handshake, and any bytes that came after it.
        """
        self._protocol.receive_data(received)
        request, *early = self._protocol.events_received() or [None]
        if not isinstance(request, Request):
            return  # not a handshake after all: a body, or too many headers
        answer = self._protocol.accept(request)
        self._protocol.send_response(answer)
        self._log("GET", f"{ROOT}responses", answer.status_code, "WebSocket")
        await self._flush()
        if answer.status_code != 101:
            return
        listening = asyncio.create_task(self._read(early))
        now = asyncio.get_running_loop().time
        end = now() + self._service.script.websocket.lifetime
        try:
            while (message := await self._messages.get()) is not None:
                going_on = await self._answer(message) if now() < end else await self._expire()
                if not going_on:
                    return
        except InvalidState:
            pass  # the client has left
        finally:
            listening.cancel()

    async def _read(self, events: list[Any]) -> None:
        """Put each message into the queue, and None after the last."""
        with contextlib.suppress(ConnectionError):
            await self._listen(events)
        await self._messages.put(None)

    async def _listen(self, events: list[Any]) -> None:
        message, gone = bytearray(), False
        while True:
            for frame in events:
                assert isinstance(frame, Frame)
                if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                    message += frame.data
                    if frame.fin:
                        await self._messages.put(bytes(message))
                        message.clear()
            await self._flush()
            if gone or self._protocol.close_expected():
                return
            data = await self._reader.read(_READ)
            gone = not data
            self._protocol.receive_data(data) if data else self._protocol.receive_eof()
            events = self._protocol.events_received()

    async def _answer(self, message: bytes) -> bool:
        """Play one response, or send an error. False when that ends the connection."""
        played = self._service.receive(message, self._lane)
        fault = played.fault
        await asyncio.sleep(fault.first)
        if isinstance(played, Refusal):
            self._log("WS", f"{ROOT}responses", played.status, played.about)
            await self._refuse(played)
        else:
            self._log("WS", f"{ROOT}responses", 200, played.about)
            await self._play(played)
            if played.cut:
                await asyncio.sleep(fault.stall)
                if fault.close is None:
                    return False
        return await self._close(fault.close) if fault.close else True

    async def _play(self, played: PlayedResponse) -> None:
        for kind, data in played.data():
            self._protocol.send_text(data)
            if (pause := self._service.script.pace) and "delta" in kind:
                await self._flush()
                await asyncio.sleep(pause)
        await self._flush()

    async def _refuse(self, refusal: Refusal) -> None:
        fault = refusal.fault
        error = {**refusal.error, "code": refusal.error["code"] or refusal.error["type"]}
        if fault.headers:  # Open Responses lets an error event carry headers
            error["headers"] = fault.headers
        told: dict[str, Any] = {"type": "error", "status": refusal.status, "error": error}
        self._protocol.send_text(dumps(told) if fault.body is None else fault.body.encode())
        await self._flush()

    async def _expire(self) -> bool:
        what = "The connection has reached its limit of time. Open a new one."
        await self._refuse(Refusal(400, error_object(400, what, _LIMIT)))
        return await self._close(1000)

    async def _close(self, code: int) -> bool:
        """Close, and wait a while for the answer. An unread message would undo our frame."""
        self._protocol.send_close(code)
        await self._flush()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                while await self._messages.get() is not None:
                    pass
        return False

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)
            elif self._writer.can_write_eof():
                self._writer.write_eof()
        await self._writer.drain()
