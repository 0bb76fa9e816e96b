"""The measuring server. Sends canned responses, and notes time and size of requests, unread.

It is a process of its own: `python -m bench.wire.server` prints its port. A client's base URL is
`http://127.0.0.1:PORT/NAME/PLAN/v1`. GET `/NAME/PLAN` before the run makes its answers. After the
run the same GET returns the figures, and frees them. PLAN is one of

    steps.200          199 calls of the tool, then a message; `.keep` after it keeps the requests
    steps.20.drop.5    the connection breaks in the middle of the 5th response
    steps.20.cut.5     ... when its call is complete, and the response is not
    stream.100000      one message in so many deltas; `.each` after it sends each as a chunk

The time of a response is taken just before its last write, and that of a request just after its
last byte was read. Between them the client works, and we make two system calls.
"""

import json
import re
import socket
import threading
from dataclasses import dataclass, field
from functools import cache
from io import BufferedReader
from time import perf_counter_ns
from typing import Any

from . import canned
from .frames import CLOSE, TEXT, accept, frame, masked

BUFFER = 1 << 20
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_DEFLATE = re.compile(rb"\r\nsec-websocket-extensions:[^\r]*permessage-deflate", re.IGNORECASE)
_KEY = re.compile(rb"\r\nsec-websocket-key: *(\S+)", re.IGNORECASE)


@dataclass
class Run:
    """One client's run: its plan, and its measurements."""

    kind: str
    count: int
    option: str = ""
    at: int = 0
    connections: int = 0
    answered: int = 0
    broken: bool = False
    read: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, plan: str) -> "Run":
        """The run that a plan describes."""
        kind, count, *rest = plan.split(".")
        option, at, *_ = [*rest, "", "0"]
        return cls(kind, int(count), option, int(at or 0))

    @property
    def keeps(self) -> bool:
        """Whether the requests themselves are kept."""
        return self.option == "keep"

    def came(self, size: int, body: bytes) -> None:
        """Note a request that was read just now."""
        self.read.append(perf_counter_ns())
        self.sizes.append(size)
        if self.keeps:
            self.bodies.append(body)

    def breaks(self) -> bool:
        """Whether this response is the one to break off, once."""
        if self.broken or self.option not in ("drop", "cut") or self.answered + 1 != self.at:
            return False
        self.broken = True
        return True

    def figures(self) -> dict[str, Any]:
        """All measurements, times in nanoseconds and sizes in bytes."""
        pairs = zip(self.written, self.read[1:], strict=False)
        return {
            "requests": len(self.read),
            "connections": self.connections,
            "turnarounds": [read - written for written, read in pairs],
            "sizes": self.sizes,
            "bodies": [body.decode() for body in self.bodies],
        }


class Peer:
    """One connection: the rest in its buffer, and the number of bytes received."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file: BufferedReader = sock.makefile("rb")
        self.scratch = bytearray(BUFFER)

    def head(self) -> bytes:
        """The head of the next HTTP request, empty when the client has left."""
        lines: list[bytes] = []
        while (line := self.file.readline()) not in (b"\r\n", b""):
            lines.append(line)
        return b"".join(lines) and b"\r\n" + b"".join(lines)

    def body(self, size: int, keep: bool) -> bytes:
        """Read `size` bytes, and drop them unless `keep`."""
        if keep:
            return self.file.read(size)
        view = memoryview(self.scratch)
        while size and (got := self.file.readinto1(view[: min(size, BUFFER)])):
            size -= got
        return b""


class Server:
    """All runs, and their port."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self.listening.getsockname()[1]

    def serve(self) -> None:
        """Accept connections for ever, with one thread for each."""
        while True:
            sock, _ = self.listening.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._connection, args=(Peer(sock),), daemon=True).start()

    def _connection(self, peer: Peer) -> None:
        known: Run | None = None
        try:
            while head := peer.head():
                method, path = head[2:].split(b" ", 2)[:2]
                name, _, rest = path.decode().strip("/").partition("/v1")
                if method == b"GET" and not rest:
                    self._tell(peer, name)
                    continue
                run = self.runs.setdefault(name, Run.of(name.split("/")[1]))
                run.connections += run is not known
                known = run
                if key := _KEY.search(head):
                    _websocket(peer, run, key[1], _DEFLATE.search(head) is not None)
                    return
                if not _exchange(peer, run, head):
                    return
        except ConnectionError:
            return
        finally:
            peer.sock.close()

    def _tell(self, peer: Peer, name: str) -> None:
        run = self.runs.pop(name, None)
        if run is None:
            _prepare(Run.of(name.split("/")[1]))
        body = json.dumps(run.figures() if run else {}).encode()
        kind = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
        peer.sock.sendall(b"%b%d\r\n\r\n%b" % (kind, len(body), body))


def _exchange(peer: Peer, run: Run, head: bytes) -> bool:
    """One HTTP request and its answer. False when the connection is over."""
    length = _LENGTH.search(head)
    size = int(length[1]) if length else 0
    body = peer.body(size, run.keeps)
    run.came(len(head) + size, body)
    return _answer(peer, run, "http")


def _websocket(peer: Peer, run: Run, key: bytes, compressed: bool) -> None:
    """Answer messages. Compressed ones are not unpacked, and no answer is compressed."""
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    agreed = b"sec-websocket-extensions: permessage-deflate\r\n" if compressed else b""
    peer.sock.sendall(upgrade + agreed + b"sec-websocket-accept: %b\r\n\r\n" % accept(key))
    while _message(peer, run):
        if not _answer(peer, run, "websocket"):
            return


def _message(peer: Peer, run: Run) -> bool:
    """Read one message, of one or more frames. False when there is none."""
    total, kept = 0, b""
    while len(start := peer.file.read(2)) == 2:
        wide = {126: 2, 127: 8}.get(start[1] & 0x7F, 0)
        size = int.from_bytes(peer.file.read(wide), "big") if wide else start[1] & 0x7F
        key = peer.file.read(4)
        opcode = start[0] & 0x0F
        body = peer.body(size, run.keeps)
        if opcode == CLOSE:
            peer.sock.sendall(frame(CLOSE, b""))
            return False
        if opcode <= TEXT:
            total += 6 + wide + size
            kept += masked(body, key) if run.keeps else b""
            if start[0] & 0x80:
                run.came(total, kept)
                return True
    return False


def _answer(peer: Peer, run: Run, transport: str) -> bool:
    if run.breaks():
        return _break_off(peer, run, transport)
    run.answered += 1
    if run.kind == "stream":
        *writes, last = long_answer(run.count, transport, run.option == "each")
        for write in writes:
            peer.sock.sendall(write)
    else:
        last = numbered(answer(run.answered < run.count, transport), run.answered)
    run.written.append(perf_counter_ns())
    peer.sock.sendall(last)
    return True


def _break_off(peer: Peer, run: Run, transport: str) -> bool:
    """Send a part of the response, and reset the connection."""
    events = canned.call_events()
    done = next(i for i, e in enumerate(events) if e["type"] == "response.output_item.done")
    some = events[: done + 1] if run.option == "cut" else events[: done // 2]
    run.answered += run.option == "cut"
    if transport == "http":
        part = canned.SSE_HEAD + canned.chunk(canned.sse(some))
    else:
        part = canned.websocket_response(some)
    peer.sock.sendall(numbered(part, run.answered + (run.option == "drop")))
    run.written.append(perf_counter_ns())
    peer.sock.shutdown(socket.SHUT_RDWR)
    return False


def _prepare(run: Run) -> None:
    """Make the long answers before anybody waits for them."""
    if run.kind == "stream":
        for transport in ("http", "websocket"):
            long_answer(run.count, transport, run.option == "each")


@cache
def answer(calls: bool, transport: str) -> bytes:
    """A response of a turn."""
    events = canned.call_events() if calls else canned.message_events([canned.ANSWER])
    make = canned.http_response if transport == "http" else canned.websocket_response
    return make(events)


@cache
def long_answer(deltas: int, transport: str, each: bool) -> list[bytes]:
    """The long stream, write by write."""
    events = canned.message_events([canned.DELTA] * deltas)
    if transport == "http":
        return [numbered(write, 1) for write in canned.http_writes(events, each)]
    return [numbered(write, 1) for write in canned.websocket_writes(events)]


def numbered(response: bytes, number: int) -> bytes:
    """The response with its number in it. Its length is the same for every number."""
    return response.replace(canned.NUMBER, b"%05d" % number)


def main() -> None:
    """Print the port, then serve until killed."""
    server = Server()
    print(server.port, flush=True)
    server.serve()


if __name__ == "__main__":
    main()
