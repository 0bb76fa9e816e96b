"""An MCP server that asks and tells during calls. `asking.py [PORT TOKEN]`: over pipes, or HTTP."""

import asyncio
import os
import sys
from typing import Annotated, Literal

from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import (
    Context,
    Elicit,
    ElicitationResult,
    ListRoots,
    MCPServer,
    Resolve,
    Sample,
)
from mcp.shared.exceptions import UrlElicitationRequiredError
from mcp_types import (
    CreateMessageResult,
    ElicitRequestURLParams,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)
from pydantic import AnyHttpUrl, BaseModel, Field


class Trip(BaseModel):
    """The form."""

    town: str = Field(min_length=2, description="where to")
    days: int = Field(3, ge=1, le=14)
    train: bool = True
    kind: Literal["walk", "swim"] = "walk"


class OneToken:
    """Lets in who has the token."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def verify_token(self, token: str) -> AccessToken | None:
        known = AccessToken(token=token, client_id="test", scopes=[])
        return known if token == self._token else None


def made(port: int = 0, token: str = "") -> MCPServer:
    """The server without its tools."""
    if not port:
        return MCPServer("asking")
    here = AnyHttpUrl(f"http://127.0.0.1:{port}")
    settings = AuthSettings(
        issuer_url=here, resource_server_url=here, validate_token_resource=False
    )
    return MCPServer("asking", token_verifier=OneToken(token), auth=settings)


SIGNED: list[str] = []
PORT = int(sys.argv[1]) if sys.argv[1:] else 0
server = made(PORT, *sys.argv[2:])


async def trip() -> Elicit[Trip]:
    """Asked as the version of the protocol has it."""
    return Elicit("Where do you go?\nSay it soon.", Trip)


@server.tool()
async def plan(asked: Annotated[ElicitationResult[Trip], Resolve(trip)]) -> str:
    """Asks with a form."""
    return f"{asked.action}: {asked.data.model_dump() if asked.action == 'accept' else 'nothing'}"


@server.tool()
async def visit(url: str, ctx: Context) -> str:
    """Asks to open a page, as only older versions of the protocol can."""
    asked = await ctx.elicit_url("Sign the paper.", url, "paper-1")
    return asked.action


@server.tool()
async def sign(url: str) -> str:
    """Wants a page opened before the call. The second call finds it signed."""
    SIGNED.append(url)
    if SIGNED.count(url) == 1:
        page = ElicitRequestURLParams(message="Sign first.", url=url, elicitation_id="paper-2")
        raise UrlElicitationRequiredError([page])
    return "signed"


@server.tool()
async def count(steps: int, ctx: Context) -> str:
    """Tells its progress, as fast as it can, and a word for the log."""
    for n in range(steps):
        await ctx.report_progress(n + 1, steps, f"page {n + 1}")
        await asyncio.sleep(0.001)
    await ctx.log("warning", "the last page is torn")
    return "counted"


@server.tool()
def process() -> int:
    """The id of this process."""
    return os.getpid()


async def verse(about: str) -> Sample:
    """Asked as the version of the protocol has it."""
    text = TextContent(type="text", text=f"A verse about {about}.")
    return Sample(
        [SamplingMessage(role="user", content=text)], max_tokens=5_000, system_prompt="Be brief."
    )


@server.tool()
async def sing(about: str, verse: Annotated[CreateMessageResult, Resolve(verse)]) -> str:
    """Asks the model."""
    return f"of {about}: {verse.content.text}"


async def roots() -> ListRoots:
    """Asked in any version of the protocol."""
    return ListRoots()


@server.tool()
async def folders(found: Annotated[ListRootsResult, Resolve(roots)]) -> list[str]:
    """Names and addresses of the client's roots."""
    return [f"{it.name}: {it.uri}" for it in found.roots]


@server.prompt()
def review(branch: str, focus: str = "bugs") -> str:
    """Reviews a branch."""
    return f"Review {branch} for {focus}."


if __name__ == "__main__":
    if PORT:
        server.run("streamable-http", port=PORT)
    else:
        server.run("stdio")
