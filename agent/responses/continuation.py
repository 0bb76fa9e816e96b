"""What the server holds of the conversation, so that only what is new is sent. Does no I/O.

Open Responses: a request with `previous_response_id` is answered over the earlier input, then the
earlier output, then its own input. So it may take the place of a whole request only where these are
byte for byte the start of it.
"""

from dataclasses import dataclass

from .request import HeldPrefix, Request


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response the server holds. `output`: its items as they came, in order."""

    response_id: str
    request: Request
    output: tuple[bytes, ...]

    def held_of(self, request: Request) -> HeldPrefix | None:
        """What the server has of `request`; None when it must be sent whole.

        History only grows, so the earlier input needs no comparing when it is the same object.
        What the server gave is compared: the cost is that of the last response.
        """
        earlier = self.request
        if request.items is not earlier.items or request.fields != earlier.fields:
            return None
        between = b",".join((b"", *self.output, b""))
        start = earlier.end + len(between)
        if start >= request.end or not request.items.startswith(between, earlier.end):
            return None
        return HeldPrefix(self.response_id, start)
