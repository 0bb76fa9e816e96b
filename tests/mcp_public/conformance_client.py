"""Plays a scenario of the conformance suite with our client. `conformance_client.py URL`."""

import asyncio
import json
import os
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from inkernel.agent.config.mcp_servers import McpServer
from inkernel.agent.tools.mcp.calls import Answered, Caller, CallLine, ServerQuestion
from inkernel.agent.tools.mcp.connection import Connection, ServerCallError, ServerHooks
from inkernel.agent.tools.mcp.logins import Logins
from inkernel.agent.tools.mcp.oauth import LoggingIn
from inkernel.kernel_ext.approval.elicitation import elicited

SCENARIO = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
CONTEXT: dict[str, Any] = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
ARGUMENTS = {"add_numbers": {"a": 2, "b": 3}}
"""What the tools of the scenarios need."""
METADATA = "https://conformance-test.local/client-metadata.json"


async def main(url: str) -> None:
    """Start the server of the scenario, and call each of its tools."""
    server = McpServer.model_validate({"name": "suite", "url": url, **registered()})
    with tempfile.TemporaryDirectory() as folder:
        connection = Connection(server, Path(folder, "log"), ServerHooks(auth=auth))
        await connection.start()
        assert connection.state == "ready", connection.error
        if SCENARIO != "initialize":
            for tool in connection.tools:
                await called(connection, tool.name)
        await connection.stop()


async def called(connection: Connection, tool: str) -> None:
    line = CallLine(Caller(answer))
    work = connection.call(tool, ARGUMENTS.get(tool, {}), line)
    future = asyncio.run_coroutine_threadsafe(work, asyncio.get_running_loop())
    try:
        await line.wait(future)
    except ServerCallError as error:
        print(tool, error, file=sys.stderr)
        if SCENARIO == "auth/scope-retry-limit":
            raise


async def answer(question: ServerQuestion) -> Answered:
    """A person who sends a form as it comes."""
    return elicited(question.server, question.params, lambda _: "y")


def registered() -> dict[str, Any]:
    """The settings of a client that was registered before."""
    if SCENARIO == "auth/basic-cimd":
        return {"client_id": METADATA}
    if SCENARIO != "auth/pre-registration":
        return {}
    os.environ["SECRET_OF_SUITE"] = CONTEXT["client_secret"]
    return {"client_id": CONTEXT["client_id"], "client_secret_env": "SECRET_OF_SUITE"}


async def auth(server: McpServer, _refused: Callable[[], object]) -> Any:
    """A login by a person whose browser follows at once. Kinds without a person are the SDK's."""
    if not SCENARIO.startswith("auth/"):
        return None
    if (made := WITHOUT_PERSON.get(SCENARIO)) is not None:
        return made(str(server.url))
    kept: dict[str, str] = {}
    login = LoggingIn(server, Logins(kept.get, kept.__setitem__), follow)
    return await login.__aenter__()


async def follow(address: str, _note: str) -> str:
    """The address to which the login's page goes."""

    def go() -> str:
        try:
            urllib.request.build_opener(_NoRedirect).open(address)
        except urllib.error.HTTPError as error:
            return str(error.headers["location"])
        raise AssertionError(address)

    return await asyncio.to_thread(go)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class _Memory:
    """The SDK's storage, for a moment."""

    def __init__(self) -> None:
        self.tokens: Any = None
        self.client: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client

    async def set_client_info(self, client_info: Any) -> None:
        self.client = client_info


def by_secret(url: str) -> Any:
    from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider

    client, secret = CONTEXT["client_id"], CONTEXT["client_secret"]
    return ClientCredentialsOAuthProvider(url, _Memory(), client, secret)


def by_key(url: str) -> Any:
    from mcp.client.auth.extensions.client_credentials import (
        PrivateKeyJWTOAuthProvider,
        SignedJWTParameters,
    )

    signed = SignedJWTParameters(
        issuer=CONTEXT["client_id"],
        subject=CONTEXT["client_id"],
        signing_key=CONTEXT["private_key_pem"],
        signing_algorithm=CONTEXT.get("signing_algorithm", "ES256"),
    )
    assertion = signed.create_assertion_provider()
    return PrivateKeyJWTOAuthProvider(url, _Memory(), CONTEXT["client_id"], assertion)


def by_other_app(url: str) -> Any:
    from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider

    async def assertion(audience: str, resource: str) -> str:
        import httpx2

        grant = "urn:ietf:params:oauth:grant-type:token-exchange"
        kind = "urn:ietf:params:oauth:token-type"
        values = {
            "grant_type": grant,
            "requested_token_type": f"{kind}:id-jag",
            "subject_token": CONTEXT["idp_id_token"],
            "subject_token_type": f"{kind}:id_token",
            "audience": audience,
            "resource": resource,
            "client_id": CONTEXT["idp_client_id"],
        }
        async with httpx2.AsyncClient() as client:
            got = await client.post(CONTEXT["idp_token_endpoint"], data=values)
            return str(got.json()["access_token"])

    return IdentityAssertionOAuthProvider(
        url,
        _Memory(),
        client_id=CONTEXT["client_id"],
        client_secret=CONTEXT["client_secret"],
        assertion_provider=assertion,
        issuer=_issuer(url),
        token_endpoint_auth_method="client_secret_basic",
    )


def _issuer(url: str) -> str:
    parts = urlsplit(url)
    place = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource"
    for address in (f"{place}{parts.path}", place):
        try:
            with urllib.request.urlopen(address) as got:
                return str(json.load(got)["authorization_servers"][0])
        except urllib.error.HTTPError:
            continue
    raise AssertionError(url)


WITHOUT_PERSON: dict[str, Callable[[str], Any]] = {
    "auth/client-credentials-basic": by_secret,
    "auth/client-credentials-jwt": by_key,
    "auth/cross-app-access-complete-flow": by_other_app,
}


if __name__ == "__main__":
    asyncio.run(main(sys.argv[-1]))
