"""From bytes to the data of server-sent events, by the WHATWG standard. Does no I/O.

Only `data` is kept: the Responses API repeats the event's name inside it.
"""

import re
from collections.abc import Iterator

from .errors import ProtocolError

MAX_EVENT = 64 * 1024 * 1024
"""Bytes; one event carries at most a whole response with its images."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class Decoder:
    """Fed chunks of any size, gives the data of each event that is complete."""

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._max = max_event
        self._rest = bytearray()
        self._seen = 0
        self._data: list[bytes] = []
        self._size = 0
        self._fresh = True

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The data of each event that `chunk` completes. Raises ProtocolError above the bound."""
        for line in self._lines(chunk):
            if line:
                self._keep(line)
            elif self._data:
                data, self._data, self._size = b"\n".join(self._data), [], 0
                yield data

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        self._rest += chunk
        if self._fresh:
            if len(self._rest) < len(_BOM) and _BOM.startswith(self._rest):
                return
            self._fresh = False
            if self._rest.startswith(_BOM):
                del self._rest[: len(_BOM)]
        start = 0
        # A CR that ends the buffer may be half of a CRLF: it waits for the next chunk.
        stop = len(self._rest) - self._rest.endswith(b"\r")
        for end in _LINE_END.finditer(self._rest, self._seen, stop):
            yield bytes(self._rest[start : end.start()])
            start = end.end()
        del self._rest[:start]
        self._seen = stop - start
        self._bound(len(self._rest))

    def _keep(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value[1:] if value.startswith(b" ") else value)
            self._size += len(value)
            self._bound(self._size)

    def _bound(self, size: int) -> None:
        if size > self._max:
            raise ProtocolError(
                f"The server sent one event of more than {self._max:,} bytes.",
                "That is not a Responses stream; check base_url.",
            )
