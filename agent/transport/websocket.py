"""The Responses API over a WebSocket: one connection, one response at a time.

The only file that opens a WebSocket. Knows no conversation and tries nothing twice.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator

from websockets.asyncio.client import connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidStatus,
    WebSocketException,
)
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import CloseCode

from ..config.settings import Settings
from ..dialects.dialect import Reader, SamplePart
from ..dialects.request import HeldPrefix, Request
from ..errors import (
    ModelError,
    NoWebSocketError,
    RequestRefusedError,
    ResponseGoneError,
    StreamBrokenError,
)
from ..protocol.failures import as_sentence, broken, error_of, not_connected
from ..providers.resolve import Target
from .frames import MessageConnection
from .proxies import proxy_of
from .sse import MAX_EVENT_BYTES
from .timeouts import StreamTimeouts

_HEAD = b'"type":"response.create",'
_LONGEST = 55 * 60
"""Seconds until a new connection replaces one. OpenAI closes them after 60 minutes."""

_DEFLATE = ClientPerMessageDeflateFactory(compress_settings={"level": 3})
"""Compression that knows what was sent before, if the server agrees. RFC 7692.

Each request repeats instructions and tools. More effort finds the same repetition, more slowly.
"""

_REFUSED = (CloseCode.POLICY_VIOLATION, CloseCode.MESSAGE_TOO_BIG)
"""Close codes for which another try does not help."""

_SAME_OVER_HTTP = (401, 429)
"""HTTP statuses that HTTP would have, too. Others may come from a proxy that knows only HTTP."""


class WebSocket:
    """One connection to one server, kept open between the requests of one event loop.

    The server holds the last response of the connection, even if it stores none.
    """

    def __init__(self, target: Target, settings: Settings) -> None:
        self._target = target
        self._settings = settings
        self._open: tuple[MessageConnection, asyncio.AbstractEventLoop, float] | None = None

    async def sample(
        self, request: Request, held: HeldPrefix | None, reader: Reader
    ) -> AsyncGenerator[SamplePart]:
        """Send one request and yield the parts that `reader` reads, until it is over.

        Raises NoWebSocketError, and ResponseGoneError when the connection that held the response
        is gone, and other ModelErrors. Leaving the iteration closes the connection at once.
        """
        with StreamTimeouts(self._target.server, self._settings) as patience:
            connection, heard = await self._usable(), False
            rested = connection is not None
            if connection is None:
                if held is not None and not self._target.stores(self._settings):
                    raise ResponseGoneError(f"The connection to {self._target.server} is new.")
                connection = await patience.wait(self._connect())
            try:
                await patience.wait(connection.send(request.wire(_HEAD, held), text=True))
                patience.asked()
                while not reader.over:
                    events = iter(await patience.wait(connection.messages()))
                    heard = True
                    patience.heard()
                    for part in reader.read_all(events):
                        yield part
                    if next(events, None) is not None:
                        self._drop()  # it has more than one answer
            except ConnectionClosed as closed:
                raise self._closed(closed, heard, rested) from None
            finally:
                if not reader.finished:
                    self._drop()

    async def close(self) -> None:
        """Close the connection. The next request opens a new one."""
        self._drop()
        await asyncio.sleep(0)  # the event loop closes the socket in its next round

    async def _usable(self) -> MessageConnection | None:
        """The open connection, unless it belongs to another event loop, is too old, or is closed.

        One with an unasked message is not usable: that would be read as the next answer.
        """
        if self._open is None:
            return None
        connection, loop, opened = self._open
        own = asyncio.get_running_loop()
        young = loop is own and own.time() - opened < _LONGEST
        if young and await connection.is_quiet():
            return connection
        self._drop()
        return None

    async def _connect(self) -> MessageConnection:
        target = self._target
        address = f"ws{target.url('/responses').removeprefix('http')}"
        loop = asyncio.get_running_loop()
        logger = logging.Logger("inkernel.websocket")
        logger.disabled = True  # the library logs the header with the key
        try:
            connection = await _Connect(
                address,
                additional_headers=target.headers,
                logger=logger,
                create_connection=MessageConnection,
                compression=None,
                extensions=[_DEFLATE] if self.compresses else None,
                max_size=MAX_EVENT_BYTES,
                open_timeout=self._settings.connect_timeout,
                # A busy kernel answers no pings in time, and its connection is still good.
                ping_interval=None,
                # A proxy in the environment cannot reach this machine's own ports.
                proxy=None if target.is_loopback else True,
            )
        except InvalidStatus as refused:
            raise self._refused(refused) from None
        except InvalidMessage:
            raise broken(target.server, heard=False) from None
        except InvalidHandshake as error:
            raise NoWebSocketError(f"{target.server} speaks no WebSocket: {error}.") from None
        except TimeoutError:
            raise NoWebSocketError(f"{target.server} opened no WebSocket in time.") from None
        except (InvalidProxy, ImportError):  # its text may show the proxy's password
            raise NoWebSocketError(
                f"The proxy of the environment cannot be used for a WebSocket to {target.server}."
            ) from None
        except (OSError, ssl.SSLError, EOFError, UnicodeError, WebSocketException) as error:
            raise not_connected(target.server, error, proxy_of(target)) from None
        assert isinstance(connection, MessageConnection)
        self._open = (connection, loop, loop.time())
        return connection

    @property
    def compresses(self) -> bool:
        """Whether we offer compression. To this machine itself it would only cost time."""
        wanted = self._settings.compress
        return not self._target.is_loopback if wanted == "auto" else wanted

    def _refused(self, refused: InvalidStatus) -> ModelError:
        answer = refused.response
        if answer.status_code not in _SAME_OVER_HTTP:
            return NoWebSocketError(
                f"{self._target.server} opened no WebSocket (HTTP {answer.status_code})."
            )
        return error_of(
            self._target.answer(answer.status_code, answer.headers, bytes(answer.body or b""))
        )

    def _closed(self, closed: ConnectionClosed, heard: bool, rested: bool) -> ModelError:
        server = self._target.server
        if rested and not heard:
            return ResponseGoneError(f"{server} closed the connection.")
        code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, "")
        said = f" It says: {as_sentence(self._target.hide(reason))}" if reason else ""
        if code in _REFUSED:
            return RequestRefusedError(
                f"{server} refused the request (WebSocket close code {code}).{said}",
                "`%agent config` shows the settings of the request.",
            )
        error = broken(server, heard)
        return StreamBrokenError(f"{error.message}{said}", error.hint)

    def _drop(self) -> None:
        """Close the connection at once, without the closing handshake, which would take time."""
        if self._open is not None:
            connection, loop, _ = self._open
            self._open = None
            if not loop.is_closed():
                connection.transport.abort()


class _Connect(connect):
    """Follows no redirect, because that would carry the key to any address a server names."""

    def process_redirect(self, exc: Exception) -> Exception:
        """The error stays an error."""
        return exc
