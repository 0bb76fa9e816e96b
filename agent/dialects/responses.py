"""The Responses API as a dialect: a conversation is in its words already, so bytes are joined."""

from ..config.settings import Settings
from ..providers.resolve import Target
from .request import HeldPrefix, Request
from .responses_stream import ResponseReader, whole_response

_HEAD = b'"stream":true,'


class Responses:
    """Requests as `POST /responses` wants them, and the answers to them."""

    path = "/responses"

    def __init__(self, target: Target, settings: Settings) -> None:
        self._target = target

    def body(self, request: Request, held: HeldPrefix | None = None) -> bytes:
        """The JSON object to send for a stream, without the items that the server holds."""
        return request.wire(_HEAD, held)

    def reader(self) -> ResponseReader:
        """A reader for one response."""
        return ResponseReader(self._target.server, self._target.model, self._target.hide)

    def events_of(self, body: bytes) -> list[bytes] | None:
        """The event that ends a stream, made of a response that came whole."""
        event = whole_response(body)
        return [event] if event else None
