"""An MCP server over HTTP with an authorization server of its own. `locked.py PORT SECONDS`.

It lets everybody in who asks its page, with tokens that hold for some seconds. A call of `write`
needs a token with that scope.
"""

import secrets
import sys
import time
from typing import Any

import uvicorn
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl

PORT, SECONDS = int(sys.argv[1]), int(sys.argv[2])
HERE = AnyHttpUrl(f"http://127.0.0.1:{PORT}")


class Everybody(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Keeps clients, codes and tokens in memory. `renewed`: how often a token was."""

    def __init__(self) -> None:
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.tokens: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}
        self.renewed = 0

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.clients[str(client_info.client_id)] = client_info

    async def authorize(
        self, client: OAuthClientInformationFull, params: AuthorizationParams
    ) -> str:
        code = AuthorizationCode(
            code=secrets.token_hex(16),
            client_id=str(client.client_id),
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
        )
        self.codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self.codes[authorization_code.code]
        return self._token(str(client.client_id), authorization_code.scopes)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        self.renewed += 1
        del self.refresh[refresh_token.token]
        return self._token(str(client.client_id), refresh_token.scopes)

    async def load_access_token(self, token: str) -> AccessToken | None:
        found = self.tokens.get(token)
        return found if found and (found.expires_at or 0) > time.time() else None

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self.tokens.pop(token.token, None)

    def _token(self, client: str, scopes: list[str]) -> OAuthToken:
        token, again = (f"tk-{secrets.token_hex(16)}" for _ in range(2))
        ends = int(time.time()) + SECONDS
        self.tokens[token] = AccessToken(
            token=token, client_id=client, scopes=scopes, expires_at=ends
        )
        self.refresh[again] = RefreshToken(token=again, client_id=client, scopes=scopes)
        return OAuthToken(
            access_token=token,
            expires_in=SECONDS,
            refresh_token=again,
            scope=" ".join(scopes) or None,
        )


everybody = Everybody()
server = MCPServer(
    "locked",
    auth_server_provider=everybody,
    auth=AuthSettings(
        issuer_url=HERE,
        resource_server_url=AnyHttpUrl(f"{HERE}mcp"),
        validate_token_resource=False,
        client_registration_options=ClientRegistrationOptions(enabled=True),
    ),
)


@server.tool()
def renewed() -> int:
    """How often a token was renewed."""
    return everybody.renewed


@server.tool()
def write() -> str:
    """Needs the scope `write`."""
    return "written"


@server.tool()
def lose_all() -> str:
    """Forgets all tokens."""
    everybody.tokens.clear()
    everybody.refresh.clear()
    return "lost"


def guarded(app: Any) -> Any:
    """The app, which answers a call of `write` without its scope with 403."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        message = await receive() if scope["type"] == "http" else {}
        given = dict(scope.get("headers", ())).get(b"authorization", b"").decode()
        token = everybody.tokens.get(given.removeprefix("Bearer "))
        if b'"name":"write"' in message.get("body", b"") and token and "write" not in token.scopes:
            told = b'Bearer error="insufficient_scope", scope="write"'
            headers = [(b"www-authenticate", told)]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            return await send({"type": "http.response.body", "body": b""})
        came = [message] if message else []

        async def again() -> Any:
            return came.pop() if came else await receive()

        return await app(scope, again, send)

    return answer


if __name__ == "__main__":
    uvicorn.run(guarded(server.streamable_http_app()), port=PORT, log_level="error")
