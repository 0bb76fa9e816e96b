"""The part of WebSocket frames (RFC 6455) that the server and the floor need. Does no I/O."""

import base64
import hashlib
import os

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode: int, payload: bytes, mask: bool = False) -> bytes:
    """One whole frame. A client sets `mask`."""
    head = bytearray([0x80 | opcode])
    bit, size = 0x80 * mask, len(payload)
    if size < 126:
        head.append(bit | size)
    elif size < 1 << 16:
        head.append(bit | 126)
        head += size.to_bytes(2, "big")
    else:
        head.append(bit | 127)
        head += size.to_bytes(8, "big")
    if not mask:
        return bytes(head) + payload
    key = os.urandom(4)
    return b"".join((head, key, masked(payload, key)))


def masked(payload: bytes, key: bytes) -> bytes:
    """`payload` with its mask applied or removed."""
    size = len(payload)
    keys = key * (size // 4 + 1)
    number = int.from_bytes(payload, "big") ^ int.from_bytes(keys[:size], "big")
    return number.to_bytes(size, "big")


def accept(key: bytes) -> bytes:
    """The answer to a client's `Sec-WebSocket-Key`."""
    return base64.b64encode(hashlib.sha1(key + _MAGIC).digest())
