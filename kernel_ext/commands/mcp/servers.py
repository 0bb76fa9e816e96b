"""`%agent mcp`: shows the servers, starts one again, allows one that a project names."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from ....agent.config.mcp_servers import McpServer
from ....agent.errors import UsageError
from ....agent.printable import printable
from ....agent.text.tokens import estimate
from ....agent.tools.mcp.connection import Connection, ServerCallError
from ....agent.tools.mcp.tools import code_tools
from ....widgets.panels.cards import Card, TextCard
from ...host import KernelAgent
from ...mcp.consent import words_of_server
from ..command import AnyCard, Command, counted, quoted
from .login import login
from .own_file import add_server, remove_server
from .prompts import prompt

_LOG_LINES = 40
_LISTED = "`%agent mcp` lists the servers."
_WORDS = ("tools", "log", "restart", "allow", "prompt", "login", "add", "remove")


def mcp(agent: KernelAgent, rest: str) -> AnyCard | Coroutine[Any, Any, AnyCard]:
    """Show the servers, or do a thing with one."""
    word, _, name = rest.partition(" ")
    name = name.strip()
    if not rest:
        return _all(agent)
    if word in _WORDS and not name:
        raise UsageError(f"`%agent mcp {word}` needs the name of a server.", _LISTED)
    if word not in _WORDS:
        raise UsageError(
            f"`%agent mcp` does not know {quoted(word)}.",
            f"Say one of {', '.join(_WORDS)}, and the server's name.",
        )
    if word == "allow":
        return _allow(agent, _configured(agent), name)
    match word:
        case "restart":
            return _restart(agent, name)
        case "prompt":
            return prompt(agent, name)
        case "login":
            return _login(agent, name)
        case "add":
            return add_server(agent, name)
        case "remove":
            return remove_server(agent, name)
        case _:
            return _shown(agent, word, name)


def _shown(agent: KernelAgent, word: str, name: str) -> AnyCard:
    connection = _running(agent, name)
    return _tools(agent, name) if word == "tools" else _log(connection)


def _all(agent: KernelAgent) -> Card:
    running = {it.server.name: it for it in agent.servers.running or ()}
    servers = _configured(agent)
    rows = [(name, _told(agent, it, running.get(name))) for name, it in sorted(servers.items())]
    if not rows:
        return Card("There is no MCP server. docs/tools.md says how one is set.")
    return Card("MCP servers", rows)


def _told(agent: KernelAgent, server: McpServer, running: Connection | None) -> str:
    where = f"  ({server.origin})"
    if not agent.servers.consents.holds(server):
        allows = f"`%agent mcp allow {server.name}` allows it"
        return f"not started: it {words_of_server(server)}. {allows}{where}"
    if running is None:
        return f"starts with the next %%agent{where}"
    if running.state in ("failed", "off") and running.error:
        return f"{'failed' if running.state == 'failed' else 'not started'}: {running.error}{where}"
    if running.state != "ready":
        return f"starting: not ready yet{where}"
    sizes = (estimate(str(it.arguments.parameters())) for it in running.tools)
    return f"ready: {len(running.tools)} tools, {sum(sizes):,} tokens{where}"


def _tools(agent: KernelAgent, name: str) -> TextCard:
    assert agent.servers.running is not None
    tools = [it for it in code_tools(agent.servers.running) if it.server == name]
    lines = (f"{it.code_path}({it.arguments.signature}) -> {it.returns}" for it in tools)
    return TextCard(f"The tools of {name}, for code", "\n".join(lines) or "none")


def _log(connection: Connection) -> TextCard:
    try:
        text = connection.log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    lines = printable(text).splitlines()[-_LOG_LINES:]
    told = "\n".join(lines) or "The log is empty."
    return TextCard(f"The last lines of {connection.log}", told)


async def _restart(agent: KernelAgent, name: str) -> Card:
    await asyncio.sleep(0)
    agent.refuse_while_running()
    try:
        async with counted(f"Starting {name}"):
            connection = await agent.servers.restart(agent.choose(), name)
    except ServerCallError as error:
        raise UsageError(str(error), _LISTED) from None
    if connection.state == "ready":
        return Card(f"The server {name} runs, with {len(connection.tools)} tools.")
    return Card(f"The server {name} does not run: {connection.error}")


async def _login(agent: KernelAgent, name: str) -> Card:
    await asyncio.sleep(0)
    agent.refuse_while_running()
    servers, notices = agent.servers.startable(agent.choose())
    server = next((it for it in servers if it.name == name), None)
    if server is None:
        why = " ".join(it for it in notices if quoted(name).strip("'") in it)
        raise UsageError(why or f"There is no server {quoted(name)}.", "`%agent mcp` lists them.")
    return await login(agent, server)


def _allow(agent: KernelAgent, servers: Mapping[str, McpServer], name: str) -> Card:
    if name not in servers:
        raise UsageError(f"There is no server {quoted(name)}.", "`%agent mcp` lists them.")
    server = servers[name]
    try:
        agent.servers.allow(server)
    except OSError as error:
        raise UsageError(f"Your yes cannot be kept: {error.strerror}.") from None
    words = words_of_server(server)
    return Card(f"The server {name} starts with the next %%agent, as long as it {words}.")


def _configured(agent: KernelAgent) -> dict[str, McpServer]:
    return {it.name: it for it in agent.servers.configured(agent.choose())}


def _running(agent: KernelAgent, name: str) -> Connection:
    try:
        if agent.servers.running is not None:
            return agent.servers.running.find(name)
    except ServerCallError as error:
        raise UsageError(str(error), "`%agent mcp` lists them.") from None
    raise UsageError("No server runs yet.", "Servers start with the next %%agent.")


COMMANDS = (
    Command(
        "mcp",
        "[tools | log | restart | allow | prompt | login | add | remove NAME …] — the MCP servers",
        mcp,
        (
            ("", "their state, their tools, and the tokens of the tools' schemas"),
            ("tools NAME", "how code calls its tools"),
            ("log NAME", "the last lines of its log: what it wrote to stderr, and its errors"),
            ("restart NAME", "start it again, also before the first turn"),
            ("allow NAME", "let a server of a project start, until the project changes it"),
            ("prompt NAME", "which prompts it has"),
            ("prompt NAME PROMPT key=value …", "ask the agent with one of them"),
            ("login NAME", "log in at a server over HTTP, in your browser"),
            ("add NAME COMMAND…", "write a server into your own inkernel.toml"),
            ("add NAME URL", "the same for a server over HTTP"),
            ("remove NAME", "take a server out of your own inkernel.toml"),
        ),
    ),
)
