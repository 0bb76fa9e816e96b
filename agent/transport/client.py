"""A session's client of its model: it takes the cheapest transport that works.

Knows no library of a transport. It repeats no request that the server may have begun to answer.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..dialects.dialect import Counted, Reader, ResponseDone, SamplePart
from ..dialects.known import open_dialect
from ..dialects.request import HeldPrefix, Request
from ..errors import (
    ContextLengthError,
    ModelError,
    ModelNotFoundError,
    NoWebSocketError,
    RequestRefusedError,
    ResponseGoneError,
    StreamBrokenError,
    UnreachableError,
)
from ..protocol.events import Notice
from ..protocol.items import Item
from ..providers.resolve import Target
from .continuation import StoredResponse
from .provider_compaction import Sealed
from .without_key import without_key

if TYPE_CHECKING:
    from .http import Http
    from .websocket import WebSocket

MOST_FAILURES = 3
"""Failures of a WebSocket in a row, after which the session goes on over HTTP."""

Route = tuple["WebSocket | None", HeldPrefix | None]
"""A WebSocket, or None for HTTP, and the part of the request that the server holds already."""


class Client:
    """A client of one server, whose connections stay open between requests.

    It sends only new items over a WebSocket, or where the provider stores our responses. It sends
    the whole request otherwise, and after any failure or change.
    """

    def __init__(self, target: Target, settings: Settings) -> None:
        self.target = target
        self._settings = settings
        self._dialect = open_dialect(target, settings)
        self._http: Http | None = None
        wanted = target.traits.dialect == "responses" and settings.transport == "websocket"
        if settings.transport == "auto":
            wanted = target.traits.websocket
        self._socket = _websocket(target, settings) if wanted else None
        self._stores = target.stores(settings)
        self._link: StoredResponse | None = None
        self._failures = 0

    @property
    def transport(self) -> str:
        """The present transport, in words for people."""
        sent = "new items" if self._socket or self._stores else "the whole conversation"
        return f"{'WebSocket' if self._socket else 'HTTP'}, {sent} at each request"

    async def sample(self, request: Request) -> AsyncGenerator[SamplePart | Counted | Notice]:
        """Ask for one response and yield its parts. The last one is `ResponseDone`.

        Raises a ModelError. Leaving the iteration closes the connection at once.
        """
        if self._socket and self._failures >= MOST_FAILURES:
            await self._socket.close()
            self._socket = None
            yield Notice(
                text=f"The WebSocket to {self.target.server} failed {self._failures} times: this"
                " session goes on over HTTP."
            )
        for way in self._ways(request):
            begun = False
            try:
                async with aclosing(self._ask(request, way)) as parts:
                    async for part in parts:
                        begun = True
                        yield part
                return
            except NoWebSocketError as error:
                self._socket = None
                why = self.target.hide(error.message).rstrip(".")
                yield Notice(text=f"{why}: this session goes on over HTTP.")
            except ModelError as error:
                if begun or way[1] is None or not _is_of_what_is_held(error):
                    self._count(error)
                    raise without_key(error, self.target) from None

    async def aside(self, request: Request) -> AsyncGenerator[SamplePart | Counted]:
        """Ask beside the conversation, whole and over HTTP. It may run while `sample` does.

        It leaves alone the response that the server holds for `sample`. Raises a ModelError.
        """
        dialect = open_dialect(self.target, self._settings)
        reader = dialect.reader()
        asked = self._over_http().sample(dialect, request, None, reader)
        try:
            async with aclosing(_counted(asked, reader, self.target)) as parts:
                async for part in parts:
                    yield part
        except ModelError as error:
            raise without_key(error, self.target) from None

    async def compact(self, request: Request) -> Sealed:
        """Have the provider compact the window that `request` has. Raises a ModelError."""
        try:
            return await self._over_http().compact(request)
        except ModelError as error:
            raise without_key(error, self.target) from None

    def body(self, request: Request) -> bytes:
        """The request as it is sent whole, over HTTP."""
        return open_dialect(self.target, self._settings).body(request)

    async def close(self) -> None:
        """Close the connections. The client can be used again."""
        if self._http:
            await self._http.close()
        if self._socket:
            await self._socket.close()

    def _ways(self, request: Request) -> Iterator[Route]:
        """The routes to try, the cheapest first. The next serves if the server refused the last."""
        held = self._link.held_of(request) if self._link else None
        self._link = None
        if self._socket and held:
            yield self._socket, held
        if self._socket:
            yield self._socket, None
        if self._stores and held:
            yield None, held
        yield None, None

    async def _ask(self, request: Request, way: Route) -> AsyncGenerator[SamplePart | Counted]:
        socket, start = way
        reader = self._dialect.reader()
        output: list[bytes] = []
        if socket:
            asked = socket.sample(request, start, reader)
        else:
            asked = self._over_http().sample(self._dialect, request, start, reader)
        async with aclosing(_counted(asked, reader, self.target)) as parts:
            async for part in parts:
                if isinstance(part, Item):
                    output.append(part.wire)
                elif isinstance(part, ResponseDone):
                    self._failures = 0
                    held = socket is not None or self._stores
                    if part.response_id and held and reader.whole:
                        self._link = StoredResponse(part.response_id, request, tuple(output))
                yield part

    def _over_http(self) -> "Http":
        # Imported here: the first turn over a WebSocket does not wait for it.
        from .http import Http

        self._http = self._http or Http(self.target, self._settings)
        return self._http

    def _count(self, error: ModelError) -> None:
        if self._socket and isinstance(error, StreamBrokenError | UnreachableError):
            self._failures += 1


def _websocket(target: Target, settings: Settings) -> "WebSocket":
    # Imported here: the first turn over HTTP does not wait for it.
    from .websocket import WebSocket

    return WebSocket(target, settings)


async def _counted(
    asked: AsyncGenerator[SamplePart], reader: Reader, target: Target
) -> AsyncGenerator[SamplePart | Counted]:
    """The parts of a response, and before its error the tokens that it cost.

    Raises StreamBrokenError if the stream ended before the response was complete.
    """
    try:
        async with aclosing(asked) as parts:
            async for part in parts:
                yield part
        if not reader.finished:
            raise StreamBrokenError(
                f"{target.server} ended the stream before the response was complete.",
                "Run the cell again. The complete parts are kept.",
            )
    except ModelError:
        if reader.usage:
            yield Counted(reader.usage)
        raise


def _is_of_what_is_held(error: ModelError) -> bool:
    """True if the whole request may still be answered: the server refused only to go on."""
    refused = isinstance(error, ResponseGoneError | RequestRefusedError | ModelNotFoundError)
    return refused and not isinstance(error, ContextLengthError)
