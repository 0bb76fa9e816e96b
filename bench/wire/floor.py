"""The floor: the least Python that runs the loop. Stores, checks and shows nothing.

A raw socket, orjson, items kept as bytes. One request's body is one append and one copy.
"""

import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

import orjson
from pydantic import BaseModel

from .canned import TOOL
from .frames import TEXT, frame
from .job import OUTPUT, SAID, Job, job_from_argv

LEAST_HEAD: dict[str, Any] = {
    "model": "canned",
    "instructions": "Do what is said.",
    "tools": [{"type": "function", "name": TOOL, "parameters": None, "strict": False}],
}


class Transport(Protocol):
    """Sends a request, and yields the data of each event of its answer."""

    def exchange(self, new: bytes, previous: str | None) -> Iterator[bytes]:
        """`new`: the items that were not sent yet, joined by commas."""
        ...


class Http:
    """Every request carries every item."""

    def __init__(self, url: str, head: dict[str, Any]) -> None:
        self._sock, self._file, host, path = _connect(url)
        self._start = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: ".encode()
        self._body = bytearray(orjson.dumps({**head, "stream": True})[:-1] + b',"input":[')

    def exchange(self, new: bytes, previous: str | None) -> Iterator[bytes]:
        body = self._body
        if previous:
            body += b","
        body += new
        head = b"%b%d\r\ncontent-type: application/json\r\n\r\n" % (self._start, len(body) + 2)
        self._sock.sendall(b"".join((head, body, b"]}")))
        _read_head(self._file)
        for data in chunks(self._file):
            for event in data.split(b"\n\n"):
                _, _, value = event.partition(b"data: ")
                if value and value != b"[DONE]":
                    yield value


class WebSocket:
    """Every request carries the new items, and the response they follow."""

    def __init__(self, url: str, head: dict[str, Any]) -> None:
        self._sock, self._file, host, path = _connect(url)
        self._head = orjson.dumps({"type": "response.create", **head})[:-1]
        self._sock.sendall(
            f"GET {path} HTTP/1.1\r\nhost: {host}\r\n".encode()
            + b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
            + b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        _read_head(self._file)

    def exchange(self, new: bytes, previous: str | None) -> Iterator[bytes]:
        after = b',"previous_response_id":"%b"' % previous.encode() if previous else b""
        body = b"".join((self._head, after, b',"input":[', new, b"]}"))
        self._sock.sendall(frame(TEXT, body, mask=True))
        return frames(self._file)


def turn(transport: Transport, output: Callable[[Any], str]) -> int:
    """Run the loop. Returns the number of tool calls that it answered."""
    new, previous, answered = orjson.dumps({"role": "user", "content": SAID}), None, 0
    while True:
        items: list[bytes] = []
        for data in transport.exchange(new, previous):
            event = orjson.loads(data)
            match event["type"]:
                case "response.output_item.done":
                    item = event["item"]
                    items.append(orjson.dumps(item))
                    if item["type"] == "function_call":
                        text = output(orjson.loads(item["arguments"]))
                        answer = {"type": "function_call_output", "call_id": item["call_id"]}
                        items.append(orjson.dumps({**answer, "output": text}))
                case "response.completed":
                    previous = event["response"]["id"]
        if len(items) < 2:
            return answered
        answered += 1
        # Over WebSocket the server has its own items already.
        new = items[1] if isinstance(transport, WebSocket) else b",".join(items)


class Small(BaseModel):
    """The few fields of an event that a typed reader must know."""

    type: str
    sequence_number: int
    delta: str = ""


def read(transport: Transport, parse: Callable[[bytes], Any]) -> dict[str, float]:
    """Time a response, with each event parsed but not used. It is the second of two."""
    said, took = orjson.dumps({"role": "user", "content": SAID}), 0.0
    for previous in (None, "resp_00001"):
        started = time.perf_counter()
        for data in transport.exchange(said, previous):
            parse(data)
        took = time.perf_counter() - started
    return {"seconds": took}


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """The chunks of an HTTP/1.1 body."""
    while size := int(file.readline(), 16):
        yield file.read(size)
        file.read(2)
    file.read(2)


def frames(file: BinaryIO) -> Iterator[bytes]:
    """The payload of each frame of one response."""
    payload = b""
    while b'"response.completed"' not in payload[:40]:
        size = file.read(2)[1]
        if size > 125:
            size = int.from_bytes(file.read(2 if size == 126 else 8), "big")
        payload = file.read(size)
        yield payload


def _connect(url: str) -> tuple[socket.socket, BinaryIO, str, str]:
    parts = urlsplit(url)
    sock = socket.create_connection((str(parts.hostname), parts.port or 80))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock, sock.makefile("rb", 1 << 16), parts.netloc, f"{parts.path}/responses"


def _read_head(file: BinaryIO) -> None:
    while file.readline() not in (b"\r\n", b""):
        pass


def open_transport(job: Job) -> Transport:
    """A connected transport, with the head that the job asks for."""
    head = orjson.loads(job.head) if job.head else LEAST_HEAD
    return (Http if job.transport == "http" else WebSocket)(job.url, head)


def main() -> None:
    """Run the job on the command line."""
    job = job_from_argv()
    transport = open_transport(job)
    match job.work:
        case "read":
            done = read(transport, orjson.loads)
        case "typed":
            done = read(transport, Small.model_validate_json)
        case _:
            done = {"calls": turn(transport, lambda arguments: OUTPUT)}
    json.dump(done, sys.stdout)


if __name__ == "__main__":
    main()
