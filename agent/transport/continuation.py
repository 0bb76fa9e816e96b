"""The part of the conversation that the server holds, so that only new items go out. Does no I/O.

By Open Responses the input of a request with `previous_response_id` is the earlier input, the
earlier output, and then its own input. So it may replace a whole request only if the earlier input
and output are byte for byte the start of that.
"""

from ..dialects.request import HeldPrefix, Request
from ..frozen import frozen


@frozen
class StoredResponse:
    """A response that the server holds. `output`: its items as they came, in order."""

    response_id: str
    request: Request
    output: tuple[bytes, ...]

    def held_of(self, request: Request) -> HeldPrefix | None:
        """The part of `request` that the server has, or None when it must be sent whole.

        History only grows, so the earlier input is the same if it is the same object. Only the
        last response is compared byte by byte.
        """
        earlier = self.request
        if request.items is not earlier.items or request.fields != earlier.fields:
            return None
        between = b",".join((b"", *self.output, b""))
        start = earlier.end + len(between)
        if start >= request.end or not request.items.startswith(between, earlier.end):
            return None
        return HeldPrefix(self.response_id, start)
