"""What a server of bytes reads and writes: a request, and the bytes of an answer."""

import asyncio
from collections.abc import Awaitable, Callable

from inkernel.agent.dialects.request import Request

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

REQUEST = Request.of(b'"model":"m"', bytearray(b'{"role":"user","content":"Hello"}'))
DONE = b'data: {"type":"response.completed","response":{"output":[]}}\n\n'


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The head of one request; its body is read away. Empty when there is none."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
    return head


def chunked(*pieces: bytes, whole: bool = True) -> bytes:
    """An event stream's answer, with or without its end."""
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head + body + (b"0\r\n\r\n" if whole else b"")
