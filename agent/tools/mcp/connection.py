"""One MCP server in use: started, listed, called, and started again after a crash.

All of it runs on the service loop. One task enters and leaves the SDK's client. Knows no turn.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from ...config.mcp_servers import McpServer
from ...frozen import frozen
from ...printable import printable
from .calls import Answered, CallClock, CallLine, CallsUnderWay, ServerQuestion
from .client import (
    ClientEars,
    client_of,
    first_cause,
    http_transport,
    protocol_dict,
    stdio_transport,
)
from .listed import MAX_PAGES, ListedTool, Listing, list_tools

if TYPE_CHECKING:
    from mcp import Client

ServerState = Literal["off", "starting", "ready", "failed"]
MAX_CRASHES = 3
"""Crashes in a row after which a server is not started again by itself."""
_QUIET_SECONDS = 1.0
"""How long a server's list must not change before it is read again."""
MAX_PROGRESS_CHARS = 200
"""Most characters of a message on the progress of a call."""
_NO_WAY_BACK = "no back-channel"
"""In the error of a server that asks in a way which the version of the protocol does not have."""
_WANTS_LOGIN = "it wants you to log in: `%agent mcp login {}`"
_REFUSES_TOKEN = "it refuses its token"
_INSTALL = "The Python package `mcp` is not installed: `pip install 'inkernel[mcp]'`."


class ServerCallError(Exception):
    """A call that a server did not answer. The text is for the model."""


async def _no_login(_server: McpServer, _refused: Callable[[], object]) -> None:
    """A server gets no login."""


@frozen
class ServerHooks:
    """The ways of a server to us. `changed`: its list or its state is another one.

    `kept`: what it listed the last time, and `keep` gets what it lists now. `token`: the bearer
    token that it gets, or None. `auth`: the login that a server over HTTP gets, of the HTTP
    library. It says when the server wants another one. `refused`: why it may not start, in words,
    else nothing. `project`: the folder of the project.
    """

    changed: Callable[[], object] = lambda: None
    kept: Callable[[McpServer], Listing | None] = lambda _server: None
    keep: Callable[[McpServer, Listing], object] = lambda _server, _listing: None
    token: Callable[[McpServer], str | None] = lambda _server: None
    auth: Callable[[McpServer, Callable[[], object]], Awaitable[Any]] = _no_login
    refused: Callable[[McpServer], str] = lambda _server: ""
    project: Callable[[], Path] = Path.cwd


class Connection:
    """One server. `error`: why it does not run. `seconds`: how long its start took.

    `listing`: from this start, or while it starts from the last one. None if it never ran.
    """

    def __init__(self, server: McpServer, log: Path, hooks: ServerHooks) -> None:
        self.server = server
        self.log = log
        self.state: ServerState = "off"
        self.error = ""
        self.seconds = 0.0
        self.listing = hooks.kept(server)
        self._hooks = hooks
        self._client: Client | None = None
        self._owner: asyncio.Task[None] | None = None
        self._ready, self._stop = asyncio.Event(), asyncio.Event()
        self._crashes = 0
        self._why: list[str] = []
        self._refused = ""
        self._again: asyncio.TimerHandle | None = None
        self._tasks = set[asyncio.Task[None]]()
        self._calls = CallsUnderWay()

    @property
    def tools(self) -> tuple[ListedTool, ...]:
        """The tools that can be called, maybe after a start."""
        fails = self.state == "failed" and not 0 < self._crashes < MAX_CRASHES
        return self.listing.tools if self.listing and not fails else ()

    async def start(self) -> None:
        """Start it if it does not run and may, and wait until it is ready or has failed."""
        if self._owner is None or self._owner.done():
            if not self.may_start():
                return
            self._ready, self._stop = asyncio.Event(), asyncio.Event()
            self.state, self.error, self._why, self._refused = "starting", "", [], ""
            self._owner = asyncio.create_task(self._own())
        await self._ready.wait()

    def may_start(self) -> bool:
        """Whether nothing refuses its start. If something does, `error` says it, and it is off."""
        self.error = self._hooks.refused(self.server)
        self.state = "off" if self.error else self.state
        return not self.error

    @property
    def awaited(self) -> bool:
        """Whether a turn waits for its start."""
        return self.listing is None or self.server.required

    def start_soon(self) -> None:
        """Start it, without a wait."""
        self._begin(self.start())

    async def stop(self) -> None:
        """End it. Calls under way fail."""
        self._stop.set()
        if self._owner is not None:
            with suppress(asyncio.CancelledError):
                await self._owner

    async def restart(self) -> None:
        """End it and start it anew, as if it had never crashed."""
        await self.stop()
        self._crashes = 0
        await self.start()

    async def call(self, tool: str, arguments: dict[str, Any], line: CallLine) -> Answered:
        """The result of a call, with the protocol's own names. Raises ServerCallError.

        `line`: reaches its caller. A server that has ended is started again first.
        """
        client, seconds = await self._running(), self.server.tool_timeout
        clock = CallClock(seconds)

        async def told(progress: float, total: float | None, message: str | None) -> None:
            line.tell(_progress(progress, total, message))

        with self._calls.begun(line, clock):
            try:
                async with clock.limit:
                    asked = partial(client.call_tool, tool, arguments, progress_callback=told)
                    return protocol_dict(await self._answered(self._after_pages(asked)))
            except TimeoutError:
                raise ServerCallError(
                    f"The server {self.server.name} did not answer within {seconds:g} s, and was"
                    " told that the call is given up. Whether it took effect is not known."
                ) from None

    async def resources(self) -> list[dict[str, Any]]:
        """All resources that the server lists. Raises ServerCallError."""
        client = await self._running()
        return [it async for it in self._pages(client.list_resources, "resources")]

    async def read_resource(self, uri: str) -> list[dict[str, Any]]:
        """The contents of a resource. Raises ServerCallError."""
        client = await self._running()
        return list(map(protocol_dict, (await self._answered(client.read_resource(uri))).contents))

    async def prompts(self) -> list[dict[str, Any]]:
        """All prompts that the server lists. Raises ServerCallError."""
        client = await self._running()
        return [it async for it in self._pages(client.list_prompts, "prompts")]

    async def prompt(self, name: str, arguments: dict[str, str]) -> list[dict[str, Any]]:
        """The messages of a prompt. Raises ServerCallError."""
        client = await self._running()
        return list(
            map(protocol_dict, (await self._answered(client.get_prompt(name, arguments))).messages)
        )

    async def _running(self) -> "Client":
        if self._crashes >= MAX_CRASHES:
            raise ServerCallError(
                f"The server {self.server.name} ended {self._crashes} times in a row, and is not"
                f" started again. The person can: `%agent mcp restart {self.server.name}`."
            )
        await self.start()
        if self._client is None:
            raise ServerCallError(f"The server {self.server.name} does not run: {self.error}")
        return self._client

    async def _pages(
        self, ask: Callable[..., Awaitable[Any]], what: str
    ) -> AsyncGenerator[dict[str, Any]]:
        cursor = None
        for _ in range(MAX_PAGES):
            page = await self._answered(ask(cursor=cursor))
            for it in getattr(page, what):
                yield protocol_dict(it)
            cursor = page.next_cursor
            if not cursor:
                break

    async def _answered(self, asked: Awaitable[Any]) -> Any:
        from mcp.shared.exceptions import MCPError
        from mcp_types import CONNECTION_CLOSED

        try:
            answer = await asked
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                raise await self._crashed() from None
            told = f"The server {self.server.name} refused: {self._refused or error.message}"
            if _NO_WAY_BACK in error.message:
                told += (
                    ' It asks as in older versions of MCP. The person can set `mode = "legacy"` for'
                    " it."
                )
            raise ServerCallError(told) from None
        except (ValueError, RuntimeError) as error:  # of the SDK: it reads no more than MCP has
            told = f"The server {self.server.name} answered what MCP does not have"
            raise ServerCallError(f"{told}: {first_cause(error)}") from None
        self._crashes, self._refused = 0, ""
        return answer

    async def _after_pages(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """The answer to a call, also if the server wants the person on some pages before it."""
        from mcp.shared.exceptions import MCPError, UrlElicitationRequiredError
        from mcp_types import URL_ELICITATION_REQUIRED

        try:
            return await call()
        except MCPError as error:
            if error.code != URL_ELICITATION_REQUIRED:
                raise
            for page in UrlElicitationRequiredError.from_error(error.error).elicitations:
                asked = ServerQuestion(self.server.name, "elicitation", protocol_dict(page))
                if (await self._calls.ask(asked)).get("action") != "accept":
                    raise
        return await call()

    async def _crashed(self) -> ServerCallError:
        self._crashes += 1
        why = f": {self._why[0]}" if self._why else ""
        await self.stop()
        self.error = f"it ended during a call{why}"
        self.state = "failed"
        self._hooks.changed()
        return ServerCallError(
            f"The server {self.server.name} ended during the call{why}. Whether the call took"
            " effect is not known. The next call starts the server again."
        )

    async def _own(self) -> None:
        began, server = time.monotonic(), self.server
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(self.log, "ab", opener=_private) as log:
                async with AsyncExitStack() as stack:
                    async with asyncio.timeout(server.startup_timeout):
                        ears = ClientEars(
                            *(self._list_changed, self.note, self._calls.ask, self._hooks.project)
                        )
                        client = client_of(server, await self._transport(log), ears)
                        await stack.enter_async_context(client)
                        tools = await list_tools(client, server)
                    has_resources = await _has_resources(client)
                    self._lists(Listing(tools, client.instructions or "", has_resources))
                    self._client, self.state = client, "ready"
                    self.seconds = time.monotonic() - began
                    self._ready.set()
                    self._hooks.changed()
                    listening = asyncio.create_task(self._listen(client))
                    try:
                        await self._stop.wait()
                    finally:
                        listening.cancel()
        except TimeoutError:
            self.error = f"it was not ready within {server.startup_timeout:g} s."
        except ModuleNotFoundError as error:
            self.error = _INSTALL if error.name in ("mcp", "mcp_types", "anyio") else str(error)
        except Exception as error:
            self.error = self._refused or "; ".join([*self._why, first_cause(error)])
        finally:
            self._client = None
            self.state = "failed" if self.error else "off"
            self._ready.set()
            self._hooks.changed()

    async def _transport(self, log: BinaryIO) -> Any:
        server, token = self.server, self._hooks.token(self.server)
        if server.command is not None:
            return stdio_transport(server, log, self._why)

        def refused() -> None:
            self._refused = _REFUSES_TOKEN if token else _WANTS_LOGIN.format(server.name)

        return http_transport(server, token, await self._hooks.auth(server, refused))

    async def _listen(self, client: "Client") -> None:
        """Hear of changes of the list where the protocol has a stream for that."""
        from mcp.client.subscriptions import ListenNotSupportedError

        try:
            async with client.listen(tools_list_changed=True) as events:
                async for _ in events:
                    self._list_changed()
        except ListenNotSupportedError:
            pass
        except Exception as error:
            self.note(f"changes of its list are not heard any more: {first_cause(error)}")

    def _list_changed(self) -> None:
        if self._again is not None:
            self._again.cancel()
        loop = asyncio.get_running_loop()
        self._again = loop.call_later(_QUIET_SECONDS, self._list_again)

    def _list_again(self) -> None:
        self._begin(self._relist())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relist(self) -> None:
        if self._client is not None:
            try:
                tools = await list_tools(self._client, self.server)
            except Exception as error:
                self.note(f"its list cannot be read again: {first_cause(error)}")
            else:
                self._lists(replace(self.listing or Listing(), tools=tools))
                self._hooks.changed()

    def _lists(self, listing: Listing) -> None:
        self.listing = listing
        self._hooks.keep(self.server, listing)

    def note(self, text: str) -> None:
        """Add a line to its log. Raises OSError."""
        with open(self.log, "a", encoding="utf-8", opener=_private) as log:
            log.write(f"{time.strftime('%H:%M:%S')} {text}\n")


async def _has_resources(client: "Client") -> bool:
    """Whether the server lists any. Many say that they could, and have none."""
    if client.server_capabilities.resources is None:
        return False
    with suppress(Exception):
        return bool((await client.list_resources()).resources)
    return False


def _progress(done: float, total: float | None, message: str | None) -> str:
    """A line on the progress of a call."""
    told = f"{done:g} of {total:g}" if total is not None else f"{done:g}"
    words = " ".join(printable(message or "").split())[:MAX_PROGRESS_CHARS]
    return f"{told}: {words}" if words else told


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
