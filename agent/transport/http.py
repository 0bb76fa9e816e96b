"""A dialect over HTTP: one request, one stream of events. The only file that imports httpx.

Knows no conversation and tries nothing twice.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, cast

import httpx

from ..config.extras import install_command
from ..config.settings import Settings
from ..dialects.dialect import Dialect, Reader, SamplePart
from ..dialects.request import HeldPrefix, Request
from ..errors import ModelError, ProtocolError, SettingsError, StreamBrokenError
from ..protocol.failures import (
    ServerAnswer,
    broken,
    error_of,
    not_connected,
    proxy_refused,
    unreachable,
)
from ..providers.catalog import API_NAMES
from ..providers.resolve import Target
from .provider_compaction import Sealed, compact_body, read_sealed
from .proxies import proxy_of
from .sse import Decoder
from .timeouts import StreamTimeouts
from .without_key import without_key

_ERROR_BODY = 64 * 1024
"""Most bytes to read of an error's answer."""

_MODELS_BODY = 4 * 1024 * 1024
"""Most bytes of a list of models."""

_WHOLE_BODY = 64 * 1024 * 1024
"""Most bytes of a response that is not streamed, or of a compacted window, with images."""

_PLAIN = {"accept-encoding": "identity"}
"""We ask for no compression, because a few compressed bytes can become gigabytes."""

_KEPT = 60.0
"""Seconds to keep an unused connection, because a tool may run between two requests."""

_CONNECTING = (httpx.ProxyError, httpx.ConnectError, httpx.ConnectTimeout)

_SENT = "http11.send_request_body.complete"
"""The event of the `trace` extension of httpcore, after which the server has the whole request."""

_REST = 0.25
"""Seconds a stream may take to end once its response is complete."""


class Http:
    """Connections to one server, kept open between the requests of one event loop."""

    def __init__(self, target: Target, settings: Settings) -> None:
        self._target = target
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._http: httpx.AsyncClient | None = None

    async def sample(
        self, dialect: Dialect, request: Request, held: HeldPrefix | None, reader: Reader
    ) -> AsyncGenerator[SamplePart]:
        """Send one request and yield the parts that `reader` reads, until it is over.

        Raises a ModelError. Leaving the iteration closes the connection at once.
        """
        decoder, heard = Decoder(), False
        body = dialect.body(request, held)
        try:
            async with contextlib.AsyncExitStack() as stack:
                patience = stack.enter_context(StreamTimeouts(self._target.server, self._settings))
                sent = self._send(dialect.path, body, stack, patience.asked)
                response = await patience.wait(sent)
                if not _is_stream(response):
                    events = await patience.wait(self._whole(response, dialect))
                    for part in reader.read_all(events):
                        yield part
                    return
                chunks = response.aiter_raw()
                while not reader.over:
                    if (chunk := await _next(chunks, patience, reader)) is None:
                        break
                    if events := list(decoder.feed(chunk)):
                        heard = True
                        patience.heard()
                        for part in reader.read_all(events):
                            yield part
                    elif not heard:  # comments say that the server is about to begin
                        patience.asked()
                for part in reader.closed():
                    yield part
                await _read_away(chunks)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _translated(error, self._target, heard) from None

    async def compact(self, request: Request) -> Sealed:
        """Have the provider compact the window that `request` has. Raises a ModelError."""
        address, target = self._target.url("/responses/compact"), self._target
        headers = {"content-type": "application/json"}
        try:
            async with (
                asyncio.timeout(self._settings.idle_timeout),
                self._connections().stream(
                    "POST", address, content=compact_body(request), headers=headers
                ) as response,
            ):
                if response.status_code != 200:
                    raise error_of(await _answer(response, target))
                body = await _read(_uncompressed(response, target), _WHOLE_BODY)
                return read_sealed(body, target.server)
        except TimeoutError:
            raise unreachable(target.server, "did not answer") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _translated(error, target, heard=False) from None

    async def close(self) -> None:
        """Close the connections. The next request opens new ones."""
        http, self._http = self._http, None
        if http is not None and self._loop is asyncio.get_running_loop():
            await http.aclose()

    async def _send(
        self,
        path: str,
        body: bytes,
        stack: contextlib.AsyncExitStack,
        asked: Callable[[], None],
    ) -> httpx.Response:
        """The head of the answer. It calls `asked` when the request is sent."""

        async def traced(event: str, _: object) -> None:
            if event == _SENT:
                asked()

        http = self._connections()
        headers = {"content-type": "application/json", "accept": "text/event-stream"}
        if self._settings.compress is True:
            body, headers["content-encoding"] = _compressed(body), "zstd"
        address = self._target.url(path)
        request = http.build_request(
            "POST", address, content=body, headers=headers, extensions={"trace": traced}
        )
        response = await http.send(request, stream=True)
        stack.push_async_callback(response.aclose)
        if response.status_code != 200:
            raise error_of(await _answer(response, self._target))
        return _uncompressed(response, self._target)

    async def _whole(self, response: httpx.Response, dialect: Dialect) -> list[bytes]:
        """The events of a response that came whole, although we asked for a stream."""
        body = await _read(response, _WHOLE_BODY)
        if (events := dialect.events_of(body)) is None:
            raise error_of(self._target.answer(200, response.headers, body[:_ERROR_BODY]))
        return events

    def _connections(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._http is None or self._loop is not loop:
            self._loop = loop
            self._http = _open(self._target, self._settings.connect_timeout)
        return self._http


async def list_models(target: Target, timeout: float) -> list[str]:
    """The names of models that a server lists, within `timeout` seconds. Raises a ModelError."""
    try:
        return await _listed(target, timeout)
    except ModelError as error:
        raise without_key(error, target) from None


async def _listed(target: Target, timeout: float) -> list[str]:
    try:
        async with (
            asyncio.timeout(timeout),
            _open(target, timeout) as http,
            http.stream("GET", target.url("/models")) as response,
        ):
            if response.status_code != 200:
                raise error_of(await _answer(response, target))
            return _names(await _read(_uncompressed(response, target), _MODELS_BODY), target)
    except TimeoutError:
        raise unreachable(target.server, "did not answer") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _translated(error, target, heard=False) from None


def _open(target: Target, connect: float) -> httpx.AsyncClient:
    """A new client. Raises SettingsError when the environment's proxy or certificates fail."""
    local = target.is_loopback
    try:
        return httpx.AsyncClient(
            headers=target.headers | _PLAIN,
            timeout=httpx.Timeout(None, connect=connect),
            limits=httpx.Limits(keepalive_expiry=_KEPT),
            # A proxy in the environment cannot reach this machine's own ports. Certificates in
            # the environment count there, too.
            trust_env=not local,
            verify=httpx.create_ssl_context() if local and target.is_tls else True,
        )
    except OSError as error:
        raise SettingsError(
            f"The certificates of the environment cannot be read: {error.strerror or 'no reason'}.",
            "Check SSL_CERT_FILE and SSL_CERT_DIR.",
        ) from None
    except (ImportError, ValueError):  # their text may show the proxy's password
        raise SettingsError(
            "The proxy of the environment cannot be used.",
            "Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY. A socks:// proxy needs socksio.",
        ) from None


async def _next(
    chunks: AsyncIterator[bytes], patience: StreamTimeouts, reader: Reader
) -> bytes | None:
    """The next piece of a stream. None at its end, and when none follows the end of the answer."""
    if reader.settled:
        patience.ended()
    try:
        return await patience.wait(anext(chunks, None))
    except (StreamBrokenError, httpx.HTTPError):
        if reader.settled:
            return None
        raise


async def _read_away(chunks: AsyncIterator[bytes]) -> None:
    """Read the stream to its end. Only then can the connection be used again."""
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_REST):
            async for _ in chunks:
                pass


async def _answer(response: httpx.Response, target: Target) -> ServerAnswer:
    body = (await _read(response, _ERROR_BODY))[:_ERROR_BODY]
    return target.answer(response.status_code, response.headers, body, response.url.path)


async def _read(response: httpx.Response, most: int) -> bytes:
    """The body, or somewhat more than `most` bytes of a longer one."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most:
            break
    return bytes(body)


def _uncompressed(response: httpx.Response, target: Target) -> httpx.Response:
    """The response. Raises ProtocolError if it is compressed, although we asked for none."""
    coding = response.headers.get("content-encoding", "identity")
    if coding.strip().lower() in ("", "identity"):
        return response
    raise ProtocolError(
        f"{target.server} sent an answer compressed with {coding[:20]!r}, unasked.",
        "A proxy in between may do that. Connect to the server itself.",
    )


def _compressed(body: bytes) -> bytes:
    try:
        import zstandard
    except ModuleNotFoundError:
        raise SettingsError(
            "The setting compress needs the package zstandard.",
            f"{install_command('zstd')}, or `%agent config compress false`.",
        ) from None
    return zstandard.compress(body)


def _is_stream(response: httpx.Response) -> bool:
    kind = response.headers.get("content-type", "")
    return kind.strip().lower().startswith("text/event-stream")


def _translated(
    error: httpx.HTTPError | httpx.InvalidURL, target: Target, heard: bool
) -> ModelError:
    """The same failure in our own words."""
    if isinstance(error, httpx.ProxyError) and str(error).startswith("407"):
        return proxy_refused(target.server)
    if isinstance(error, _CONNECTING) and (proxy := proxy_of(target)):
        return not_connected(target.server, _cause(error), proxy)
    if isinstance(error, httpx.ConnectTimeout):
        return unreachable(target.server, "does not answer")
    if heard or isinstance(error, httpx.ReadError | httpx.RemoteProtocolError):
        return broken(target.server, heard)
    return not_connected(target.server, _cause(error))


def _cause(error: BaseException) -> BaseException:
    """The first exception of a chain of causes."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return error


def _names(body: bytes, target: Target) -> list[str]:
    try:
        if len(body) > _MODELS_BODY:
            raise ValueError
        data = json.loads(body)["data"]
        models = cast("list[dict[str, Any]]", data)
        return [str(model["id"]).removeprefix("models/") for model in models]  # Gemini's prefix
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ProtocolError(
            f"{target.server} does not list models as the API does.",
            f"base_url must be the address of a {API_NAMES[target.traits.dialect]}, with its /v1.",
        ) from None
