"""The Responses API over HTTP: one request, streamed. The only file that imports httpx.

Knows no conversation and tries nothing twice.
"""

import asyncio
import contextlib
import ipaddress
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

import httpx

from .errors import ModelError, ProtocolError, StreamBrokenError, TlsError, UnreachableError
from .faults import Answer, error_of
from .providers import Target
from .settings import Settings
from .sse import Decoder
from .wire import ResponseReader, SamplePart

_ERROR_BODY = 64 * 1024
"""Most bytes read of an answer that is an error."""

_REST = 0.25
"""Seconds a stream may take to end once its response is complete."""

_KEY = "[key]"
_SHOWS_ITSELF = "Start it, or choose another model: `%agent model`."


class Client:
    """Connections to one server, kept open between the requests of one event loop."""

    def __init__(self, target: Target, settings: Settings) -> None:
        self.target = target
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._http: httpx.AsyncClient | None = None

    async def sample(self, body: bytes) -> AsyncGenerator[SamplePart]:
        """Send one request; yield what comes, last of all `Finished`.

        Raises a ModelError. Leaving the iteration closes the connection at once.
        """
        reader = ResponseReader(self.target.server, self.target.model)
        try:
            async with contextlib.aclosing(self._events(body, reader)) as events:
                async for data in events:
                    for part in reader.read(data):
                        yield part
        except ModelError as error:
            raise _without_key(error, self.target) from None
        if not reader.finished:
            raise StreamBrokenError(
                f"{self.target.server} ended the stream before the response was complete.",
                "Run the cell again; what was complete is kept.",
            )

    async def close(self) -> None:
        """Close the connections. The client can be used again."""
        http, self._http = self._http, None
        if http is not None and self._loop is asyncio.get_running_loop():
            await http.aclose()

    async def _events(self, body: bytes, reader: ResponseReader) -> AsyncGenerator[bytes]:
        """The data of each event, each within its time, until `reader` has finished.

        Then what is left is read away, within a time: a connection can only be used again when its
        stream was read to the end.
        """
        now = asyncio.get_running_loop().time
        first, idle = self._settings.first_event_timeout, self._settings.idle_timeout
        decoder, heard, over = Decoder(), False, False
        deadline = now() + self._settings.connect_timeout + first
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout_at(deadline):
                    response = await self._send(body, stack)
                deadline = now() + first
                chunks = response.aiter_bytes()
                while (chunk := await _next_by(deadline, chunks)) is not None:
                    for data in decoder.feed(chunk):
                        if over:
                            break
                        if data != b"[DONE]":
                            yield data
                        heard, over = True, reader.finished or data == b"[DONE]"
                        deadline = now() + (_REST if over else idle)
        except TimeoutError:
            if not over:
                raise self._silent(heard) from None
        except httpx.HTTPError as error:
            if not over:
                raise _translated(error, self.target, heard) from None

    async def _send(self, body: bytes, stack: contextlib.AsyncExitStack) -> httpx.Response:
        http = self._connection()
        request = http.build_request(
            "POST",
            f"{self.target.base_url}/responses",
            content=body,
            headers={"content-type": "application/json", "accept": "text/event-stream"},
        )
        response = await http.send(request, stream=True)
        stack.push_async_callback(response.aclose)
        kind = response.headers.get("content-type", "")
        if response.status_code != 200 or not kind.startswith("text/event-stream"):
            raise error_of(await _answer(response, self.target))
        return response

    def _connection(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._http is None or self._loop is not loop:
            self._loop = loop
            self._http = _open(self.target, self._settings.connect_timeout)
        return self._http

    def _silent(self, heard: bool) -> ModelError:
        server, hint = self.target.server, "The conversation is kept; run the cell again."
        if heard:
            seconds = self._settings.idle_timeout
            return StreamBrokenError(f"{server} fell silent for {seconds:g} s in its answer.", hint)
        seconds = self._settings.first_event_timeout
        return StreamBrokenError(
            f"{server} did not begin to answer within {seconds:g} s.",
            f"{hint} `%agent config first_event_timeout SECONDS` waits longer.",
        )


async def list_models(target: Target, timeout: float) -> list[str]:
    """The model names a server lists, within `timeout` seconds. Raises a ModelError."""
    try:
        async with asyncio.timeout(timeout), _open(target, timeout) as http:
            response = await http.get(f"{target.base_url}/models")
            if response.status_code != 200:
                raise error_of(await _answer(response, target))
            return _names(response.content, target)
    except TimeoutError:
        raise UnreachableError(f"{target.server} did not answer.", _SHOWS_ITSELF) from None
    except httpx.HTTPError as error:
        raise _translated(error, target, heard=False) from None


def _open(target: Target, connect: float) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {target.key}"} if target.key else {}
    return httpx.AsyncClient(
        headers=headers,
        timeout=httpx.Timeout(None, connect=connect),
        # A proxy in the environment cannot reach this machine's own ports.
        trust_env=not _is_loopback(httpx.URL(target.base_url).host),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _next_by(deadline: float, chunks: AsyncIterator[bytes]) -> bytes | None:
    async with asyncio.timeout_at(deadline):
        return await anext(chunks, None)


async def _answer(response: httpx.Response, target: Target) -> Answer:
    body = b""
    if response.is_stream_consumed:
        body = response.content
    else:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _ERROR_BODY:
                break
    if target.key:
        body = body.replace(target.key.encode(), _KEY.encode())
    return Answer(
        target.server,
        target.model,
        response.status_code,
        response.headers,
        body[:_ERROR_BODY],
        target.key_env if target.key else None,
    )


def _without_key(error: ModelError, target: Target) -> ModelError:
    """Some servers repeat the key they refuse; it must reach neither screen nor record."""
    if target.key:
        return type(error)(error.message.replace(target.key, _KEY), error.hint, error.after)
    return error


def _translated(error: httpx.HTTPError, target: Target, heard: bool) -> ModelError:
    """The same failure in our own words."""
    if heard or isinstance(error, httpx.ReadError | httpx.RemoteProtocolError):
        return StreamBrokenError(
            f"The connection to {target.server} broke in the middle of the answer.",
            "Run the cell again; what was complete is kept.",
        )
    if isinstance(_cause(error), ssl.SSLError):
        return TlsError(
            f"The connection to {target.server} is not trusted: {_cause(error)}.",
            "Check base_url (http or https?), the server's certificate, and SSL_CERT_FILE.",
        )
    if isinstance(error, httpx.ConnectTimeout):
        return UnreachableError(f"{target.server} does not answer.", _SHOWS_ITSELF)
    return UnreachableError(f"{target.server} cannot be reached: {_cause(error)}.", _SHOWS_ITSELF)


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
