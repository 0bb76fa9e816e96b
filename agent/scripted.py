"""The scripted model's server: Open Responses over HTTP on a loopback port. Knows no client.

    with ScriptedServer(load_script(path)) as server:
        ...  # requests to server.base_url

Only the model's words come from a script; HTTP, streaming and errors are real.
"""

import asyncio
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

import h11

from .items import dumps
from .script import NO_FAULT, Fault, Script
from .scripted_model import (
    Frame,
    Position,
    RequestError,
    cached_tokens,
    find_position,
    frames,
    read_request,
)

HOST = "127.0.0.1"
MAX_REQUEST = 64 * 1024 * 1024
"""Bytes of a request's body."""
_READ = 64 * 1024


class ScriptedServer:
    """Serves `script` until closed, in a thread of its own.

    `key`: the bearer key a request must carry. `requests`: the bodies POSTed so far, in order.
    """

    def __init__(self, script: Script, key: str | None = None) -> None:
        self.requests: list[bytes] = []
        self._service = _Service(script, key, self.requests)
        self._stop = asyncio.Event()
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        self._port = 0

    @property
    def base_url(self) -> str:
        """What a client's base_url must be, once the server is started."""
        return f"http://{HOST}:{self._port}/v1"

    def start(self) -> Self:
        """Listen. Connections are accepted from now on. Once only."""
        # asyncio sends without delay (TCP_NODELAY) only on sockets that name their protocol.
        listening = socket.socket(proto=socket.IPPROTO_TCP)
        listening.bind((HOST, 0))
        listening.listen()
        self._port = listening.getsockname()[1]
        loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=self._run, args=(loop, listening), name="scripted model", daemon=True
        )
        self._running = loop, thread
        thread.start()
        return self

    def close(self) -> None:
        """Drop every connection, free the port, end the thread. Harmless when done before."""
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

        # Not a coroutine function: asyncio would log those of its own tasks that are cancelled.
        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(_converse(self._service, reader, writer))
            conversations.add(task)
            task.add_done_callback(conversations.discard)
            task.add_done_callback(lambda _: writer.transport.abort())

        server = await asyncio.start_server(connected, sock=listening)
        await self._stop.wait()
        # The runner cancels the conversations; Server.wait_closed would wait for their clients.
        server.close()


async def _converse(
    service: "_Service", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        await _Connection(reader, writer).serve(service)
        writer.close()
        await writer.wait_closed()
    except (ConnectionError, h11.LocalProtocolError):
        pass  # the client left, or the script's own headers contradict its body


@dataclass(frozen=True, slots=True)
class _Answer:
    """An HTTP answer: body pieces, each written whole, with the seconds to wait after it."""

    status: int
    headers: dict[str, str]
    pieces: list[tuple[bytes, float]]
    fault: Fault = NO_FAULT

    @property
    def cut(self) -> int | None:
        """After how many pieces the connection is closed."""
        if self.fault.event:
            return None
        return (self.fault.after or 0) if self.fault.stall else self.fault.after


def _json(status: int, body: bytes, fault: Fault = NO_FAULT) -> _Answer:
    headers = {"content-type": fault.content_type, "content-length": str(len(body))}
    return _Answer(status, headers | fault.headers, [(body, 0)], fault)


def _error(
    status: int, message: str, code: str | None, param: str | None = None, fault: Fault = NO_FAULT
) -> _Answer:
    kinds = {404: "not_found", 429: "too_many_requests"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    error = {"message": message, "type": kind, "param": param, "code": code}
    return _json(status, dumps({"error": error}), fault)


@dataclass(frozen=True, slots=True)
class _Service:
    """What each request is answered. Does no I/O but ask the time."""

    script: Script
    key: str | None
    requests: list[bytes]
    prompts: dict[str, bytes] = field(default_factory=dict[str, bytes])
    attempts: Counter[Position] = field(default_factory=Counter[Position])

    def answer(self, request: h11.Request, body: bytes) -> _Answer:
        """The answer to one HTTP request."""
        method, path = request.method, request.target.partition(b"?")[0]
        if method == b"POST":
            self.requests.append(body)
        if self.key is not None:
            sent = dict(request.headers).get(b"authorization", b"")
            if sent != f"Bearer {self.key}".encode():
                what = "Incorrect API key provided." if sent else "You didn't provide an API key."
                return _error(401, what, "invalid_api_key")
        if (method, path) == (b"POST", b"/v1/responses"):
            return self._respond(body)
        if (method, path) == (b"GET", b"/v1/models"):
            model = {"id": self.script.model, "object": "model", "created": 0, "owned_by": "script"}
            return _json(200, dumps({"object": "list", "data": [model]}))
        what = f"Invalid URL ({method.decode()} {path.decode(errors='replace')})"
        return _error(404, what, None)

    def _respond(self, body: bytes) -> _Answer:
        try:
            request = read_request(body)
            position = find_position(self.script, request)
            fault = self._fault(position)
            if fault.body is not None:
                return _json(fault.status or 200, fault.body.encode(), fault)
            if fault.status is not None:
                return _error(fault.status, fault.message, fault.code, None, fault)
            cached = self._cached(request.prompt_cache_key, request.prompt)
            now = int(time.time())
            events = list(frames(self.script, position, request, now, cached, fault))
            if not request.stream:
                return _json(200, dumps(events[-1][1]["response"]), fault)
            return self._stream(events, fault)
        except RequestError as error:
            return _error(400, str(error), error.code, error.param)
        except RecursionError:
            return _error(400, "The body is nested too deeply.", None)

    def _fault(self, position: Position) -> Fault:
        fault = self.script.turn[position.turn].response[position.response].fault
        self.attempts[position] += 1
        spent = fault.times is not None and self.attempts[position] > fault.times
        return NO_FAULT if spent else fault

    def _cached(self, key: str | None, prompt: bytes) -> int:
        if key is None:
            return 0
        earlier = self.prompts.get(key, b"")
        self.prompts[key] = prompt
        return cached_tokens(prompt, earlier)

    def _stream(self, events: list[Frame], fault: Fault) -> _Answer:
        pieces = [
            (
                b"event: %b\ndata: %b\n\n" % (kind.encode(), dumps(data)),
                self.script.pace if kind.endswith(".delta") else 0,
            )
            for kind, data in events
        ]
        headers = {"content-type": "text/event-stream", "cache-control": "no-cache"}
        return _Answer(200, headers | fault.headers, [*pieces, (b"data: [DONE]\n\n", 0)], fault)


class _Connection:
    """HTTP/1.1 with one client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)

    async def serve(self, service: _Service) -> None:
        """Answer requests until either side, or the script, ends the connection."""
        try:
            while received := await self._receive():
                request, body = received
                await self._send(service.answer(request, body), request.method == b"HEAD")
                if self._http.our_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            answer = _error(error.error_status_hint, str(error), None)
            answer.headers["connection"] = "close"
            await self._send(answer)

    async def _receive(self) -> tuple[h11.Request, bytes] | None:
        """The next request and its body; None when there is none. Raises RemoteProtocolError."""
        request, body = None, bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_READ))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_REQUEST:
                    raise h11.RemoteProtocolError("The body is too large.", 413)
            else:
                return (request, bytes(body)) if request else None

    async def _send(self, answer: _Answer, no_body: bool = False) -> None:
        await asyncio.sleep(answer.fault.first)
        headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        await self._write(h11.Response(status_code=answer.status, headers=headers))
        for number, (piece, pause) in enumerate(answer.pieces):
            if number == answer.cut:
                await asyncio.sleep(answer.fault.stall)
                return
            if not no_body:
                await self._write(h11.Data(data=piece))
                await asyncio.sleep(pause)
        await self._write(h11.EndOfMessage())

    async def _write(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> None:
        self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()
