"""One request of the model: fixed fields, then the conversation's items. Knows no transport.

Both are bytes that were serialised once; a request is put together by joining them.
"""

import re
from dataclasses import dataclass

from ..protocol.verbatim_json import dumps

_UNREAD = re.compile(rb',"prompt_cache_key":"[^"]*"')


def read_by_model(fields: bytes) -> bytes:
    """Fields without the cache's key: no model reads it, and it is another in each session."""
    return _UNREAD.sub(b"", fields)


@dataclass(frozen=True, slots=True)
class HeldPrefix:
    """What the server has of a request: up to byte `start` of its items, as `response_id`."""

    response_id: str
    start: int


@dataclass(frozen=True, slots=True)
class Request:
    """What a sample is asked for. `fields`: JSON members, without braces, `input` not among them.

    `items`: the history's own bytes, which only ever grow; `end` of them belong to this request.
    """

    fields: bytes
    items: bytearray
    end: int

    @classmethod
    def of(cls, fields: bytes, items: bytearray) -> "Request":
        """The request that ends where `items` end now."""
        return cls(fields, items, len(items))

    @property
    def size(self) -> int:
        """Bytes of fields and items."""
        return len(self.fields) + self.end

    def wire(self, head: bytes, held: HeldPrefix | None = None) -> bytes:
        """The JSON object that is sent, without the items that the server holds.

        `head`: members that the transport wants first, with their comma.
        """
        if held is None:
            start, previous = 0, b""
        else:
            start = held.start
            previous = b',"previous_response_id":' + dumps(held.response_id)
        with memoryview(self.items) as items, items[start : self.end] as new:
            return b"".join((b"{", head, self.fields, previous, b',"input":[', new, b"]}"))
