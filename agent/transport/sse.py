"""From bytes to the data of server-sent events, by the WHATWG standard. Does no I/O.

Only `data` is kept: the Responses API repeats the event's name inside it.
"""

import re
from collections.abc import Iterator

from ..errors import ProtocolError

MAX_EVENT_BYTES = 64 * 1024 * 1024
"""Most bytes of one event. It has at most a whole response with its images."""

_LAST_LINE = re.compile(rb"\ndata: (.*)(?=\n\n)").findall
"""Finds all data if each event has one line of data, and has it last, as all servers send it."""

_BOM = b"\xef\xbb\xbf"


class Decoder:
    """Takes chunks of any size, and gives the data of each complete event."""

    def __init__(self, max_event: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event
        self._rest = bytearray()
        self._seen = 0
        self._fresh = True
        self._after_cr = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The data of each event that `chunk` completes. Raises ProtocolError for a huge event."""
        rest = self._rest
        rest += self._with_plain_ends(chunk)
        if self._fresh and not self._past_bom():
            return
        end = rest.rfind(b"\n\n", max(0, self._seen - 1))
        if end >= 0:
            blocks = b"\n%b\n\n" % rest[:end]
            del rest[: end + 2]
            yield from self._data(blocks)
        self._seen = len(rest)
        self._bound(len(rest))

    def _data(self, blocks: bytes) -> Iterator[bytes]:
        """The data of each of the events in `blocks`."""
        lines = _LAST_LINE(blocks)
        if len(lines) == blocks.count(b"\ndata") and len(blocks) <= self._max:
            yield from lines
            return
        for block in blocks.split(b"\n\n"):
            self._bound(len(block))
            if (data := _data(block)) is not None:
                yield data

    def _with_plain_ends(self, chunk: bytes) -> bytes:
        """The chunk with LF for CRLF and CR. A CR at its end counts at once as the whole CRLF."""
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" not in chunk:
            return chunk
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _past_bom(self) -> bool:
        """Whether a byte order mark, if the stream begins with one, is gone."""
        if len(self._rest) < len(_BOM) and _BOM.startswith(self._rest):
            return False
        self._fresh = False
        if self._rest.startswith(_BOM):
            del self._rest[: len(_BOM)]
        return True

    def _bound(self, size: int) -> None:
        if size > self._max:
            raise ProtocolError(
                f"The server sent one event of more than {self._max:,} bytes.",
                "That is no stream of a model. Check base_url.",
            )


def _data(block: bytes) -> bytes | None:
    """The data of an event in any shape, or None when it has none."""
    found: list[bytes] = []
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            found.append(value.removeprefix(b" "))
    return b"\n".join(found) if found else None
