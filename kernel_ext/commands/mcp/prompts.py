"""`%agent mcp prompt`: what a server words for the person, as what the person says."""

import asyncio
import shlex
from typing import Any

from ....agent.errors import UsageError
from ....agent.printable import printable
from ....agent.tools.mcp.connection import ServerCallError
from ....agent.tools.mcp.results import read_result
from ....agent.tools.mcp.servers import McpServers
from ....widgets.panels.cards import Card
from ...host import KernelAgent
from ...mcp.session_servers import MOST_WAIT_SECONDS
from ..command import counted

_USAGE = "Say `%agent mcp prompt SERVER NAME key=value …`, with quotes around what has blanks."


async def prompt(agent: KernelAgent, rest: str) -> Card | None:
    """Ask the agent with a prompt of a server. Without its name: list the server's prompts."""
    server, *words = _words(rest)
    await asyncio.sleep(0)
    agent.refuse_while_running()
    chosen = agent.choose()
    async with counted(f"Starting {server}"):
        servers = await agent.servers.use(agent.servers.startable(chosen)[0])
        await servers.start(MOST_WAIT_SECONDS)
    try:
        if not words:
            return await _list(servers, server)
        given = _named(words[1:])
        _check(await servers.prompts(server), server, words[0], given)
        said = _text(await servers.prompt(server, words[0], given), server)
    except ServerCallError as error:
        raise UsageError(str(error), _USAGE) from None
    print(said)
    await agent.ask(said, {}, new=False)
    return None


async def _list(servers: McpServers, server: str) -> Card:
    rows = [(it["name"], _about(it)) for it in await servers.prompts(server)]
    return Card(f"The prompts of {server}" if rows else f"{server} has no prompts.", rows)


def _check(prompts: list[dict[str, Any]], server: str, name: str, given: dict[str, str]) -> None:
    """Raises UsageError for what the server would refuse in words of its own."""
    wanted = next((it.get("arguments", ()) for it in prompts if it["name"] == name), None)
    if wanted is None:
        raise UsageError(
            f"{server} has no prompt {name!r}.", f"`%agent mcp prompt {server}` lists."
        )
    missing = [it["name"] for it in wanted if it.get("required") and it["name"] not in given]
    unknown = [it for it in given if it not in {each["name"] for each in wanted}]
    if missing or unknown:
        told = f"needs {missing[0]}=…" if missing else f"has no argument {unknown[0]!r}"
        raise UsageError(f"The prompt {name} {told}.", _USAGE)


def _about(prompt: dict[str, Any]) -> str:
    """Its purpose and arguments, on a line. Those in brackets may be left out."""
    named = [(it["name"], it.get("required")) for it in prompt.get("arguments", ())]
    given = " ".join(f"{name}=…" if needed else f"[{name}=…]" for name, needed in named)
    words = " ".join(str(prompt.get("description") or prompt.get("title") or "").split())
    return printable(": ".join(filter(None, [given, words])))


def _text(messages: list[dict[str, Any]], server: str) -> str:
    """The messages as one text. A picture or a sound is named, not sent."""
    parts = read_result({"content": [it["content"] for it in messages]}, server).parts
    return "\n\n".join(part.get("text", "[a picture, not sent]") for part in parts)


def _words(rest: str) -> list[str]:
    try:
        words = shlex.split(rest)
    except ValueError:
        raise UsageError("A quote is not closed.", _USAGE) from None
    if not words:
        raise UsageError("No server is named.", _USAGE)
    return words


def _named(words: list[str]) -> dict[str, str]:
    if wrong := [it for it in words if "=" not in it]:
        raise UsageError(f"{wrong[0]!r} is no `key=value`.", _USAGE)
    return dict(it.split("=", 1) for it in words)
