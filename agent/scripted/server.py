"""The scripted model's server: Open Responses over HTTP, on a loopback port. Knows no client.

    with ScriptedServer(load_script(path)) as server:
        ...  # requests to server.base_url

Only the model's words come from a script. HTTP, streaming and errors are real.
"""

import asyncio
import os
import re
import socket
import threading
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Self

import h11

from .answers import Asked, HttpAnswer, Refusal, error_object, refused
from .script import Script
from .service import ROOT, Service

HOST = "127.0.0.1"
MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""Most bytes of a request's body."""
_LOOPBACK = ("localhost", HOST, "::1")
_ANY = ("0.0.0.0", "::")
"""Hosts that mean all addresses of this machine. They have any address, but no name of others."""
_READ = 64 * 1024
_WRITE = 16 * 1024
"""Bytes of whole frames that are sent even when there is no pause."""

Log = Callable[[str, str, int, str], None]
"""Called for each answer with method, path, status, and the played part of the script."""


class ScriptedServer:
    """Serves `script` until closed, in a thread of its own.

    `key`: the bearer key that a request must carry. `port` 0: any that is free. `log`: called in
    the server's thread. `requests`: the bodies and WebSocket messages received so far, in order.
    """

    def __init__(
        self,
        script: Script,
        key: str | None = None,
        host: str = HOST,
        port: int = 0,
        log: Log | None = None,
    ) -> None:
        self._service = Service(script, key)
        self._log = log or _silent
        self._stop = asyncio.Event()
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        self._host = host
        self._port = port
        self.requests = self._service.requests

    @property
    def base_url(self) -> str:
        """The base_url for a client, once the server is started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}{ROOT}".removesuffix("/")

    def start(self) -> Self:
        """Listen and accept connections. A server starts only once.

        Raises OSError when the address is taken or not this machine's. Raises OverflowError for an
        impossible port.
        """
        listening = _listening(self._host, self._port)
        self._port = listening.getsockname()[1]
        loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=self._run, args=(loop, listening), name="scripted model", daemon=True
        )
        self._running = loop, thread
        thread.start()
        return self

    def close(self) -> None:
        """Drop every connection, free the port, end the thread. A second call does nothing."""
        if self._running:
            loop, thread = self._running
            self._running = None
            loop.call_soon_threadsafe(self._stop.set)
            thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, loop: asyncio.AbstractEventLoop, listening: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve(listening))

    async def _serve(self, listening: socket.socket) -> None:
        conversations: set[asyncio.Task[None]] = set()

        # No coroutine function, because asyncio would log its own tasks when they are cancelled.
        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = _Connection(self._service, self._log, self._host, (reader, writer))
            task = asyncio.create_task(_converse(connection, writer))
            conversations.add(task)
            task.add_done_callback(conversations.discard)
            task.add_done_callback(lambda _: writer.transport.abort())

        server = await asyncio.start_server(connected, sock=listening)
        await self._stop.wait()
        # The runner cancels the conversations. Server.wait_closed would wait for their clients.
        server.close()


def _silent(*_: object) -> None:
    """A log that keeps nothing."""


def _listening(host: str, port: int) -> socket.socket:
    family, *_, (address, _, *more) = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    # asyncio sends without delay (TCP_NODELAY) only on sockets that name their protocol.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port, *more))
        listening.listen()
    except (OSError, OverflowError):
        listening.close()
        raise
    return listening


async def _converse(connection: "_Connection", writer: asyncio.StreamWriter) -> None:
    try:
        await connection.serve()
        writer.close()
        await writer.wait_closed()
    except (ConnectionError, h11.LocalProtocolError):
        pass  # the client left, or the script's own headers contradict its body


class _Connection:
    """HTTP/1.1 with one client, until it asks for a WebSocket."""

    def __init__(
        self,
        service: Service,
        log: Log,
        host: str,
        ends: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._service = service
        self._log = log
        self._host = host
        self._reader, self._writer = ends
        self._http = h11.Connection(h11.SERVER)

    async def serve(self) -> None:
        """Answer requests until either side, or the script, ends the connection."""
        try:
            while received := await self._receive():
                asked = _asked(*received)
                if stranger := _stranger(asked.headers, self._host):
                    answer = refused(stranger, frozenset())
                elif _wants_websocket(asked):
                    answer = self._service.no_websocket(asked)
                    if answer is None:
                        return await self._switch(received[0])
                else:
                    answer = self._service.answer(asked)
                self._log(asked.method, asked.path, answer.status, answer.about)
                await self._send(answer, asked.method == "HEAD")
                if self._http.our_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            answer = refused(Refusal(status, error_object(status, str(error))), frozenset())
            answer.headers["connection"] = "close"
            await self._send(answer)

    async def _receive(self) -> tuple[h11.Request, bytes] | None:
        """The next request and its body, or None at the end. Raises RemoteProtocolError."""
        request, body = None, bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_READ))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_REQUEST_BYTES:
                    raise h11.RemoteProtocolError("The body is too large.", 413)
            else:
                return (request, bytes(body)) if request else None

    async def _switch(self, request: h11.Request) -> None:
        from .websocket import Socket

        lines = [b"GET %b HTTP/1.1" % request.target]
        lines += [b"%b: %b" % header for header in request.headers]
        handshake = b"\r\n".join([*lines, b"", b""])
        socket = Socket(self._service, self._log, self._reader, self._writer)
        await socket.serve(handshake + self._http.trailing_data[0])

    async def _send(self, answer: HttpAnswer, no_body: bool = False) -> None:
        await asyncio.sleep(answer.fault.first)
        headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        ready = self._http.send(h11.Response(status_code=answer.status, headers=headers)) or b""
        for piece, pause in () if no_body else answer.pieces:
            ready += self._http.send(h11.Data(data=piece)) or b""
            if pause or len(ready) > _WRITE:
                await self._write(ready)
                await asyncio.sleep(pause)
                ready = b""
        if not answer.cut:
            ready += self._http.send(h11.EndOfMessage()) or b""
        await self._write(ready)
        await asyncio.sleep(answer.fault.stall if answer.cut else 0)

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


def _asked(request: h11.Request, body: bytes) -> Asked:
    """The request in the service's form. Raises RemoteProtocolError for an unreadable body."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
    if encoding := headers.get("content-encoding"):
        body = _decoded(body, encoding)
    method, target = request.method.decode("latin-1"), request.target.decode("latin-1")
    return Asked(method, target, headers, body)


def _decoded(body: bytes, encoding: str) -> bytes:
    try:
        import zstandard
    except ImportError:
        zstandard = None
    if zstandard is None or encoding.lower() != "zstd":
        raise h11.RemoteProtocolError(f"Content-Encoding {encoding} is not read here.", 415)
    try:
        with zstandard.ZstdDecompressor().stream_reader(body) as reader:
            whole = reader.read(MAX_REQUEST_BYTES + 1)
    except zstandard.ZstdError as error:
        raise h11.RemoteProtocolError(f"The body is not zstd: {error}.", 400) from None
    if len(whole) > MAX_REQUEST_BYTES:
        raise h11.RemoteProtocolError("The body is too large.", 413)
    return whole


def _stranger(headers: Mapping[str, str], own: str) -> Refusal | None:
    """The refusal of a request that a page of another site may have sent. None for any other.

    A browser names its page's site in Origin, or in Host where the site's name leads to us.
    """
    host, origin = headers.get("host", "").lower(), headers.get("origin", "").lower()
    name = re.sub(r":\d*$", "", host)
    if not (name.strip("[]") in (*_LOOPBACK, own.lower()) or (own in _ANY and _is_address(name))):
        what = f"This server does not answer as {host!r}. It listens on {own}."
        return Refusal(421, error_object(421, what))
    if origin not in ("", f"http://{host}", f"https://{host}"):
        what = f"This server answers no pages of another site: {origin}."
        return Refusal(403, error_object(403, what))
    return None


def _is_address(name: str) -> bool:
    try:
        return bool(ip_address(name.strip("[]")))
    except ValueError:
        return False


def _wants_websocket(asked: Asked) -> bool:
    route = (asked.method, asked.path) == ("GET", f"{ROOT}responses")
    return route and asked.headers.get("upgrade", "").lower() == "websocket"
