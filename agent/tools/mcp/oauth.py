"""The login at a server over HTTP: OAuth with PKCE, and its tokens, which are kept and renewed.

Imported with the first server over HTTP. Knows no person, no file and no life of a server.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.auth.utils import extract_scope_from_www_auth, union_scopes
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
    ProtectedResourceMetadata,
)
from pydantic import AnyUrl

from ...config.mcp_servers import LOCAL_HOSTS, McpServer
from ...protocol.verbatim_json import dumps, loads
from .calls import refuse
from .client import ClientEars, client_of, first_cause, http_transport
from .logins import LoginError, Logins

RENEW_SECONDS = 30
"""How long before its end a token is renewed."""
HOST, PATH = "127.0.0.1", "/callback"
_BACK = "Back to the notebook: press Enter there."


async def kept_login(
    server: McpServer, logins: Logins, wanted: Callable[[], object]
) -> httpx2.Auth:
    """Sends the token of a login and renews it. `wanted`: hears that the server wants a login."""
    kept = _Kept(server, logins)
    await kept.read()
    return _KeptLogin(kept, wanted)


class _Kept:
    """The login at one server, in the SDK's shape of a storage."""

    def __init__(self, server: McpServer, logins: Logins, redirect: str = "") -> None:
        self._server, self._logins = server, logins
        self._redirect = redirect or f"http://{HOST}{PATH}"
        self._values: dict[str, Any] = {}
        self._provider: OAuthClientProvider | None = None

    @property
    def tokens(self) -> OAuthToken | None:
        return self._value("tokens", OAuthToken)

    @property
    def missed(self) -> str:
        """The rights of a login that the server has missed in a call, those it has among them."""
        return str(self._values.get("missed", ""))

    async def miss(self, scope: str) -> None:
        """Note rights that the login lacks. The next login asks for them, too."""
        had = self.tokens.scope if self.tokens else None
        self._values["missed"] = union_scopes(had, scope)
        await self._keep()

    async def read(self) -> None:
        text = await asyncio.to_thread(self._logins.read, self._url)
        with suppress(ValueError, TypeError):
            self._values = dict(loads((text or "{}").encode()))

    def provider(self, **asking: Any) -> OAuthClientProvider:
        """The SDK's flow, which knows what was kept. `asking`: its ways to the person."""
        metadata = OAuthClientMetadata(
            client_name="inkernel",
            redirect_uris=[AnyUrl(self._redirect)],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
        )
        made = OAuthClientProvider(
            self._url, metadata, self, client_metadata_url=self._document, **asking
        )
        self._provider = made
        made.context.token_expiry_time = self._values.get("ends")
        made.context.oauth_metadata = self._value("metadata", OAuthMetadata)
        made.context.protected_resource_metadata = self._value(
            "resource", ProtectedResourceMetadata
        )
        return made

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        assert self._provider is not None
        context = self._provider.context
        if context.token_expiry_time is not None:
            context.token_expiry_time = max(context.token_expiry_time - RENEW_SECONDS, time.time())
        self._values |= {
            "tokens": _plainly(tokens),
            "client": _plainly(context.client_info),
            "metadata": _plainly(context.oauth_metadata),
            "resource": _plainly(context.protected_resource_metadata),
            "ends": context.token_expiry_time,
        }
        await self._keep()

    async def _keep(self) -> None:
        await asyncio.to_thread(self._logins.keep, self._url, dumps(self._values).decode())

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        server = self._server
        if server.client_id is None or self._document:
            return self._value("client", OAuthClientInformationFull)
        secret = os.environ.get(server.client_secret_env or "")
        return OAuthClientInformationFull(
            client_id=server.client_id,
            client_secret=secret,
            redirect_uris=[AnyUrl(self._redirect)],
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
        )

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """It is kept together with the tokens."""

    @property
    def _document(self) -> str | None:
        """The address of a document about the client, which is its id, too."""
        name = self._server.client_id or ""
        return name if name.startswith("https://") else None

    @property
    def _url(self) -> str:
        assert self._server.url is not None
        return self._server.url

    def _value(self, name: str, kind: type[Any]) -> Any:
        with suppress(ValueError):
            return kind.model_validate(self._values[name]) if self._values.get(name) else None


class _KeptLogin(httpx2.Auth):
    """Never begins a login. A token that is refused before its end is renewed once."""

    def __init__(self, kept: _Kept, wanted: Callable[[], object]) -> None:
        self._kept, self._wanted = kept, wanted
        self._provider = kept.provider() if kept.tokens else None

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        for last in (False, True):
            flow = self._flow(request)
            sent = await anext(flow)
            while sent is not request:
                sent = await flow.asend((yield sent))
            response = yield sent
            await flow.aclose()
            if not _refused(response):
                return
            if response.status_code == 403 and (scope := extract_scope_from_www_auth(response)):
                await self._kept.miss(scope)
                break
            if last or self._provider is None or not self._provider.context.can_refresh_token():
                break
            self._provider.context.token_expiry_time = 1.0
        self._wanted()

    def _flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        return self._provider.async_auth_flow(request) if self._provider else _alone(request)


def _refused(response: httpx2.Response) -> bool:
    """Whether another login could help."""
    told = response.headers.get("www-authenticate", "")
    return response.status_code == 401 or (
        response.status_code == 403 and "insufficient_scope" in told
    )


def _lacking(request: httpx2.Request, scope: str) -> httpx2.Response:
    """The answer of a server that misses rights of a login."""
    told = f'Bearer error="insufficient_scope", scope="{scope}"'
    return httpx2.Response(403, headers={"WWW-Authenticate": told}, request=request)


async def _alone(request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
    yield request


AskForLogin = Callable[[str, str], Awaitable[str]]
"""Shows an address and a note, and gives what the person typed: nothing, or where they ended."""


async def log_in(server: McpServer, logins: Logins, ask: AskForLogin) -> bool:
    """Log in. False if the server wants no login. Raises LoginError."""
    ears = ClientEars(changed=lambda: None, log=lambda _: None, ask=refuse)
    async with LoggingIn(server, logins, ask) as login:
        try:
            async with client_of(server, http_transport(server, None, login), ears) as client:
                await client.list_tools()
        except Exception as error:
            raise LoginError(first_cause(login.failed or error)) from None
        return login.made


class LoggingIn(httpx2.Auth):
    """A login under way. `failed`: why it did not succeed."""

    def __init__(self, server: McpServer, logins: Logins, ask: AskForLogin) -> None:
        self.failed: Exception | None = None
        self._server, self._logins, self._ask = server, logins, ask
        self._came = asyncio.Event()
        self._query = self._address = self._redirect = self._missed = ""
        self._flow: OAuthClientProvider | None = None

    async def __aenter__(self) -> "LoggingIn":
        self._listener = await asyncio.start_server(
            self._heard, HOST, self._server.redirect_port or 0
        )
        port = self._listener.sockets[0].getsockname()[1]
        self._redirect = f"http://{HOST}:{port}{PATH}"
        self._kept = _Kept(self._server, self._logins, self._redirect)
        self._flow = self._kept.provider(redirect_handler=self._go, callback_handler=self._back)
        before = _Kept(self._server, self._logins)
        await before.read()
        self._missed = before.missed
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._listener.close()

    @property
    def made(self) -> bool:
        """Whether there is a login now."""
        return self._kept.tokens is not None

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        assert self._flow is not None
        flow = self._flow.async_auth_flow(request)
        try:
            sent = await anext(flow)
            if self._missed:  # the server says so during a call alone, so this is its answer again
                lacking, self._missed = _lacking(request, self._missed), ""
                sent = await flow.asend(lacking)
            while True:
                sent = await flow.asend((yield sent))
        except StopAsyncIteration:
            pass
        except Exception as error:
            self.failed = error
            raise
        finally:
            await flow.aclose()

    async def _go(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme != "https" and parts.hostname not in LOCAL_HOSTS:
            raise OAuthFlowError(f"the page of the login is not safe: {address}")
        self._address = address

    async def _back(self) -> AuthorizationCodeResult:
        """The code. It comes to the listener, or the person pastes the address that has it."""
        note = ""
        while not self._came.is_set():
            self._query = urlsplit(await self._ask(self._address, note)).query or self._query
            note = "Nothing has come yet."
            if self._query:
                break
        found = {name: values[0] for name, values in parse_qs(self._query).items()}
        if "code" not in found:
            raise OAuthFlowError(found.get("error_description") or found.get("error") or "no code")
        return AuthorizationCodeResult.model_validate(found)

    async def _heard(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a browser. Only the first address with the right path counts."""
        with suppress(OSError, ValueError, asyncio.IncompleteReadError):
            line = (await reader.readuntil(b"\r\n")).decode("ascii").split(" ")
            parts = urlsplit(line[1] if len(line) > 2 else "")
            right = parts.path == PATH and bool(parts.query) and not self._query
            if right:
                self._query = parts.query
                self._came.set()
            status, body = ("200 OK", _BACK) if right else ("404 Not Found", "")
            head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nConnection: close\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()
        writer.close()


def _plainly(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_none=True) if value is not None else None
