"""The MCP servers of a session: which there are, started beside each other. Knows no turn.

Called on the kernel's thread. The connections live on the service loop.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from ...config.mcp_servers import McpServer
from ...services import ServiceLoop
from .calls import Caller, CallLine
from .connection import Connection, ServerCallError, ServerHooks
from .listed import ListedTool

KNOWN_SECONDS = 0.3
"""So long after a turn's begin a known server starts: the turn's first request goes out first."""
T = TypeVar("T")
_NO_FILE = str.maketrans({it: "_" for it in '/\\:*?"<>|'})


class McpServers:
    """A service of a session. `logs`: the folder of what its servers write to stderr now."""

    def __init__(self, loop: ServiceLoop, logs: Callable[[], Path], hooks: ServerHooks) -> None:
        self._loop, self._logs, self._hooks = loop, logs, hooks
        self._known: dict[str, Connection] = {}

    async def use(self, servers: Iterable[McpServer]) -> None:
        """Have these servers, and no others. One that is configured in another way begins anew."""
        wanted = {it.name: it for it in servers if it.expose != "off"}
        gone = [it for it in self._known.values() if wanted.get(it.server.name) != it.server]
        for it in gone:
            del self._known[it.server.name]
        if gone:
            await self._there(_each(it.stop() for it in gone))
        logs = self._logs()
        for name, server in wanted.items():
            if name not in self._known:
                log = logs / f"{name.translate(_NO_FILE)}.log"
                self._known[name] = Connection(server, log, self._hooks)

    async def start(self, seconds: float) -> None:
        """Start all that do not run. Waits for those that are required, and `seconds` at most for
        those of which it is not known what they list. The others start on meanwhile."""
        idle = [it for it in self if it.state == "off"]
        if idle:
            await self._there(_started(idle, seconds))

    def __iter__(self) -> Iterator[Connection]:
        return iter(sorted(self._known.values(), key=lambda it: it.server.name))

    def __bool__(self) -> bool:
        return bool(self._known)

    @property
    def tools(self) -> list[ListedTool]:
        """The tools of all servers that can be called, by server and name."""
        return [tool for it in self for tool in it.tools]

    def find(self, name: str) -> Connection:
        """The server of that name. Raises ServerCallError."""
        if name not in self._known:
            known = ", ".join(it.server.name for it in self) or "none"
            raise ServerCallError(f"There is no server {name!r}. There are: {known}.")
        return self._known[name]

    async def call(
        self, server: str, tool: str, arguments: dict[str, Any], caller: Caller
    ) -> dict[str, Any]:
        """The result of a call, with the protocol's own names. Raises ServerCallError."""
        line = CallLine(caller)
        return await line.wait(self._loop.submit(self.find(server).call(tool, arguments, line)))

    async def resources(self, server: str) -> list[dict[str, Any]]:
        """The resources that a server lists. Raises ServerCallError."""
        return await self._there(self.find(server).resources())

    async def read_resource(self, server: str, uri: str) -> list[dict[str, Any]]:
        """The contents of a resource. Raises ServerCallError."""
        return await self._there(self.find(server).read_resource(uri))

    async def prompts(self, server: str) -> list[dict[str, Any]]:
        """The prompts that a server lists. Raises ServerCallError."""
        return await self._there(self.find(server).prompts())

    async def prompt(self, server: str, name: str, given: dict[str, str]) -> list[dict[str, Any]]:
        """The messages of a prompt with these arguments. Raises ServerCallError."""
        return await self._there(self.find(server).prompt(name, given))

    async def restart(self, server: str) -> Connection:
        """End a server and start it anew. Raises ServerCallError."""
        connection = self.find(server)
        await self._there(connection.restart())
        return connection

    async def close(self) -> None:
        """End all servers. Called on the service loop."""
        await _each(it.stop() for it in self._known.values())

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        return await self._loop.call(work)


async def _each(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*work, return_exceptions=True)


async def _started(idle: list[Connection], seconds: float) -> None:
    awaited = {asyncio.create_task(it.start()): it for it in idle if it.awaited}
    needed = [start for start, it in awaited.items() if it.server.required]
    for it in idle:
        if not it.awaited:
            asyncio.get_running_loop().call_later(KNOWN_SECONDS, it.start_soon)
    if awaited:
        await asyncio.wait(awaited, timeout=seconds)
    if needed:
        await asyncio.wait(needed)
