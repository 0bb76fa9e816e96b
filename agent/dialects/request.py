"""One request to the model: fixed fields, then the conversation's items. Knows no transport.

Both are bytes that were serialised once. A request joins them.
"""

import re
from functools import lru_cache

from ..frozen import frozen
from ..protocol.verbatim_json import dumps
from ..text.tokens import estimate

_UNREAD = re.compile(rb',"prompt_cache_key":"[^"]*"')


def read_by_model(fields: bytes) -> bytes:
    """Fields without the cache's key. No model reads it, and each session has its own."""
    return _UNREAD.sub(b"", fields)


@lru_cache(maxsize=8)
def fixed_tokens(fields: bytes) -> int:
    """About how many tokens the fixed fields cost. They are the same for all requests of a turn."""
    return estimate(read_by_model(fields))


@frozen
class HeldPrefix:
    """The part of a request that the server holds as `response_id`: items up to byte `start`."""

    response_id: str
    start: int


@frozen
class Request:
    """The request of one sample.

    `fields`: JSON members without braces and without `input`. `items`: the history's own bytes,
    which only grow. The first `end` of them belong to this request.
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
        """The JSON object to send, without the items that the server holds.

        `head`: members that the transport puts first, each with its comma.
        """
        if held is None:
            start, previous = 0, b""
        else:
            start = held.start
            previous = b',"previous_response_id":' + dumps(held.response_id)
        with memoryview(self.items) as items, items[start : self.end] as new:
            return b"".join((b"{", head, self.fields, previous, b',"input":[', new, b"]}"))
