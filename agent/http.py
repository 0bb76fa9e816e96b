"""The Responses API over HTTP: one request, one stream of events. The only file that imports httpx.

Knows no conversation and tries nothing twice.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

import httpx

from .errors import ModelError, ProtocolError, SettingsError, UnreachableError
from .faults import SHOWS_ITSELF, Answer, broken, error_of, not_connected
from .patience import Patience
from .providers import Target
from .request import Held, Request
from .settings import Settings
from .sse import Decoder
from .wire import ResponseReader, SamplePart

_HEAD = b'"stream":true,'
_ERROR_BODY = 64 * 1024
"""Most bytes read of an answer that is an error."""

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
        self, request: Request, held: Held | None, reader: ResponseReader
    ) -> AsyncGenerator[SamplePart]:
        """Send one request; yield what `reader` makes of the events, until it is over.

        Raises a ModelError. Leaving the iteration closes the connection at once.
        """
        decoder, heard = Decoder(), False
        body = request.wire(_HEAD, held)
        try:
            async with contextlib.AsyncExitStack() as stack:
                patience = stack.enter_context(Patience(self._target.server, self._settings))
                response = await patience.wait(self._send(body, stack))
                patience.asked()
                chunks = response.aiter_bytes()
                while not reader.over:
                    if (chunk := await patience.wait(anext(chunks, None))) is None:
                        return
                    if events := list(decoder.feed(chunk)):
                        heard = True
                        patience.heard()
                        for part in reader.read_all(events):
                            yield part
                await _read_away(chunks)
        except httpx.HTTPError as error:
            raise _translated(error, self._target, heard) from None

    async def close(self) -> None:
        """Close the connections. It can be used again."""
        http, self._http = self._http, None
        if http is not None and self._loop is asyncio.get_running_loop():
            await http.aclose()

    async def _send(self, body: bytes, stack: contextlib.AsyncExitStack) -> httpx.Response:
        http = self._connections()
        headers = {"content-type": "application/json", "accept": "text/event-stream"}
        if self._settings.compress:
            body, headers["content-encoding"] = _compressed(body), "zstd"
        address = f"{self._target.base_url}/responses"
        request = http.build_request("POST", address, content=body, headers=headers)
        response = await http.send(request, stream=True)
        stack.push_async_callback(response.aclose)
        kind = response.headers.get("content-type", "")
        if response.status_code != 200 or not kind.startswith("text/event-stream"):
            raise error_of(await _answer(response, self._target))
        return response

    def _connections(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._http is None or self._loop is not loop:
            self._loop = loop
            self._http = _open(self._target, self._settings.connect_timeout)
        return self._http


async def list_models(target: Target, timeout: float) -> list[str]:
    """The model names a server lists, within `timeout` seconds. Raises a ModelError."""
    try:
        async with asyncio.timeout(timeout), _open(target, timeout) as http:
            response = await http.get(f"{target.base_url}/models")
            if response.status_code != 200:
                raise error_of(await _answer(response, target))
            return _names(response.content, target)
    except TimeoutError:
        raise UnreachableError(f"{target.server} did not answer.", SHOWS_ITSELF) from None
    except httpx.HTTPError as error:
        raise _translated(error, target, heard=False) from None


def _open(target: Target, connect: float) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        headers=target.headers,
        timeout=httpx.Timeout(None, connect=connect),
        # A proxy in the environment cannot reach this machine's own ports.
        trust_env=not target.is_loopback,
    )


async def _read_away(chunks: AsyncIterator[bytes]) -> None:
    """What is left: a connection can only be used again when its stream was read to the end."""
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_REST):
            async for _ in chunks:
                pass


async def _answer(response: httpx.Response, target: Target) -> Answer:
    body = b""
    if response.is_stream_consumed:
        body = response.content
    else:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _ERROR_BODY:
                break
    return target.answer(response.status_code, response.headers, body[:_ERROR_BODY])


def _compressed(body: bytes) -> bytes:
    try:
        import zstandard
    except ModuleNotFoundError:
        raise SettingsError(
            "The setting compress needs the package zstandard.",
            "pip install 'inkernel[zstd]', or `%agent config compress false`.",
        ) from None
    return zstandard.compress(body)


def _translated(error: httpx.HTTPError, target: Target, heard: bool) -> ModelError:
    """The same failure in our own words."""
    if isinstance(error, httpx.ConnectTimeout):
        return UnreachableError(f"{target.server} does not answer.", SHOWS_ITSELF)
    if heard or isinstance(error, httpx.ReadError | httpx.RemoteProtocolError):
        return broken(target.server, heard)
    return not_connected(target.server, _cause(error))


def _cause(error: BaseException) -> BaseException:
    """What lies at the bottom of a chain of exceptions."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return error


def _names(body: bytes, target: Target) -> list[str]:
    try:
        data = json.loads(body)["data"]
        return [str(model["id"]) for model in cast("list[dict[str, Any]]", data)]
    except (ValueError, KeyError, TypeError):
        raise ProtocolError(
            f"{target.server} does not list models as the API does.",
            "base_url must be that of a Responses API, up to and with its /v1.",
        ) from None
