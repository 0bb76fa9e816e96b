"""A session's line to its model: the cheapest transport that works, and what is held there.

Knows no library of any transport, and asks nothing again that the server may have begun to answer.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from ..config.settings import Settings
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
from .http import Http
from .provider_compaction import Sealed
from .request import HeldPrefix, Request
from .stream import ResponseDone, ResponseReader, SamplePart
from .websocket import WebSocket

MOST_FAILURES = 3
"""A WebSocket that failed so often in a row gives way to HTTP for the rest of the session."""

Route = tuple[Http | WebSocket, HeldPrefix | None]
"""A transport, and what of the request need not be sent over it."""


class Client:
    """One line to one server, open between requests.

    Over a WebSocket, and where the provider stores responses for us, only items that are new to
    the server are sent; else, and after any failure or change, the whole request.
    """

    def __init__(self, target: Target, settings: Settings) -> None:
        self.target = target
        self._http = Http(target, settings)
        wanted = settings.transport == "websocket"
        if settings.transport == "auto":
            wanted = target.traits.websocket
        self._socket = WebSocket(target, settings) if wanted else None
        self._stores = target.stores(settings)
        self._link: StoredResponse | None = None
        self._failures = 0

    @property
    def transport(self) -> str:
        """How it asks now, for people."""
        sent = "new items" if self._socket or self._stores else "the whole conversation"
        return f"{'WebSocket' if self._socket else 'HTTP'}, {sent} at each request"

    async def sample(self, request: Request) -> AsyncGenerator[SamplePart | Notice]:
        """Ask for one response; yield what comes, last of all `ResponseDone`.

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
                    raise _without_key(error, self.target) from None

    async def aside(self, request: Request) -> AsyncGenerator[SamplePart]:
        """Ask beside the conversation, whole and over HTTP; may run while `sample` does.

        What the server holds for `sample` is not touched. Raises a ModelError.
        """
        reader = ResponseReader(self.target.server, self.target.model, self.target.hide)
        try:
            async with aclosing(self._http.sample(request, None, reader)) as parts:
                async for part in parts:
                    yield part
            _check_whole(reader, self.target)
        except ModelError as error:
            raise _without_key(error, self.target) from None

    async def compact(self, request: Request) -> Sealed:
        """Have the provider compact what `request` would send. Raises a ModelError."""
        try:
            return await self._http.compact(request)
        except ModelError as error:
            raise _without_key(error, self.target) from None

    async def close(self) -> None:
        """Close the connections. The client can be used again."""
        await self._http.close()
        if self._socket:
            await self._socket.close()

    def _ways(self, request: Request) -> Iterator[Route]:
        """How to ask, the cheapest first; the next one when the server took nothing of the last."""
        held = self._link.held_of(request) if self._link else None
        self._link = None
        if self._socket and held:
            yield self._socket, held
        if self._socket:
            yield self._socket, None
        if self._stores and held:
            yield self._http, held
        yield self._http, None

    async def _ask(self, request: Request, way: Route) -> AsyncGenerator[SamplePart]:
        transport, start = way
        reader = ResponseReader(self.target.server, self.target.model, self.target.hide)
        output: list[bytes] = []
        async with aclosing(transport.sample(request, start, reader)) as parts:
            async for part in parts:
                if isinstance(part, Item):
                    output.append(part.wire)
                elif isinstance(part, ResponseDone):
                    self._failures = 0
                    held = transport is self._socket or self._stores
                    if part.response_id and held and reader.whole:
                        self._link = StoredResponse(part.response_id, request, tuple(output))
                yield part
        _check_whole(reader, self.target)

    def _count(self, error: ModelError) -> None:
        if self._socket and isinstance(error, StreamBrokenError | UnreachableError):
            self._failures += 1


def _check_whole(reader: ResponseReader, target: Target) -> None:
    if not reader.finished:
        raise StreamBrokenError(
            f"{target.server} ended the stream before the response was complete.",
            "Run the cell again; what was complete is kept.",
        )


def _is_of_what_is_held(error: ModelError) -> bool:
    """The whole request may be answered: the server lost the response, or has it otherwise."""
    refused = isinstance(error, ResponseGoneError | RequestRefusedError | ModelNotFoundError)
    return refused and not isinstance(error, ContextLengthError)


def _without_key(error: ModelError, target: Target) -> ModelError:
    """Some servers repeat the key they refuse; it must reach neither screen nor record."""
    return type(error)(target.hide(error.message), target.hide(error.hint), error.after)
