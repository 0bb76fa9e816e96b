"""The MCP servers of a kernel's session: begun with a turn, told to the model, listed once.

Knows no command, and no turn's calls.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...agent.config.mcp_files import with_mcp_files
from ...agent.config.mcp_servers import McpServer, filled
from ...agent.config.planted import reason
from ...agent.config.project import project_folders
from ...agent.config.settings import Chosen
from ...agent.errors import SettingsError, UsageError
from ...agent.frozen import frozen
from ...agent.printable import printable, visible
from ...agent.protocol.events import Notice
from ...agent.protocol.items import TOOL_SEARCH
from ...agent.protocol.record_lines import ToolsLine
from ...agent.services import ServiceLoop, Services
from ...agent.session import Session
from ...agent.tools.mcp.connection import Connection, ServerCallError, ServerHooks
from ...agent.tools.mcp.servers import McpServers
from ...agent.tools.mcp.tools import code_tools, finding_tools
from ...agent.tools.tool import AGENT_TOOLS, Tool
from ...widgets import View
from ..approval.approvals import Approvals
from ..environment import logs_folder
from ..functions.live import Functions
from ..observer import Obeys
from ..protection import workspace
from ..shell import Shell
from .answers import ServerAnswers
from .consent import Consents, words_of_server
from .exposure import can_search, listed_rows, rows_of_servers, searched_servers, tools_of_rows
from .listing_store import LISTINGS_FOLDER, KeptListings
from .login_store import ServerSecrets
from .scripts import digests, scripts_of

MOST_WAIT_SECONDS = 10.0
"""How long the first turn waits for servers that it does not need."""
MAX_NAMED_TOOLS, MAX_SERVER_WORDS = 60, 200
"""Most tools of a server that are named to the model, and most characters of its own words."""


@frozen
class ServerTools:
    """The tools of servers in a turn, `listed` in each request, and those for code at a moment.

    `functions`: those of the person that are tools.
    """

    functions: Functions
    listed: tuple[Tool[Any], ...]
    for_code: Callable[[], tuple[Tool[Any], ...]]


class SessionServers:
    """The servers of one kernel, and its functions that are tools, as the session lists both.

    `secrets`: what lets us in at servers that need it. `sessions`: the folder of records, beside
    which their lists are kept. `scripts`: the files of the workspace that servers run, as of the
    last look at the settings.
    """

    def __init__(
        self,
        services: Services,
        obeys: Obeys,
        secrets: ServerSecrets,
        shell: Shell,
        sessions: Callable[[], Path],
    ) -> None:
        self.functions = Functions(shell)
        self._services, self._obeys = services, obeys
        self._token, self.logins = secrets.token, secrets.logins
        self._sessions = sessions
        self.consents = Consents(obeys.user_folder)
        self.scripts: tuple[str, ...] = ()
        self._direct: frozenset[str] = frozenset()
        self._searched: frozenset[str] = frozenset()

    @property
    def running(self) -> McpServers | None:
        """The servers in use. None before the first turn that has any."""
        return self._services.made(McpServers)

    def configured(self, chosen: Chosen) -> tuple[McpServer, ...]:
        """All servers of settings and of the files of other programs."""
        return with_mcp_files(chosen, self._obeys.working(), self._obeys.held()).servers

    def startable(self, chosen: Chosen) -> tuple[list[McpServer], list[str]]:
        """The servers that may start, filled in; and sentences about the others."""
        servers, notices = list[McpServer](), list[str]()
        configured = self.configured(chosen)
        self.scripts = tuple(path for it in configured for path in self._scripts_of(it))
        for server in configured:
            if not self.consents.holds(server):
                notices.append(
                    f"The MCP server {server.name} of {server.origin} is not started: it"
                    f" {words_of_server(server)}. `%agent mcp allow {server.name}` starts it."
                )
                continue
            try:
                servers.append(filled(server, os.environ, self._obeys.working()))
            except SettingsError as error:
                notices.append(f"{error.message} {error.hint}")
        return servers, notices

    def allow(self, server: McpServer) -> None:
        """Keep the person's yes to it, and to its scripts as they are. Raises OSError."""
        self.consents.give(server, digests(self._scripts_of(server)))

    def _scripts_of(self, server: McpServer) -> tuple[str, ...]:
        with suppress(SettingsError):  # without a variable it does not start
            full = filled(server, os.environ, self._obeys.working())
            return scripts_of(full, workspace(self._obeys.folders()))
        return ()

    def _refused(self, server: McpServer) -> str:
        """Why a server may not start now, in words."""
        try:
            scripts = scripts_of(server, workspace(self._obeys.folders()))
            changed = self.consents.changed(digests(scripts))
        except OSError as error:
            return f"its scripts cannot be noted: {reason(error)}"
        if not changed:
            return ""
        return (
            f"{visible(', '.join(changed))}, which it runs, has changed."
            f" `%agent mcp allow {server.name}` lets it run as it is now"
        )

    async def begin(self, chosen: Chosen, session: Session, view: View) -> tuple[str, ...]:
        """Start the servers of a turn. Returns sentences for the person.

        `view`: shows the wait, and is closed if something ends it. The first time in a session,
        the record gets the tools that its requests list. Raises RecordError.
        """
        servers, notices = self.startable(chosen)
        self.functions.begin()
        if not servers and self.running is None:
            self._list_once(session)
            return tuple(notices)
        try:
            mine = await self.use(servers)
            idle = [it for it in mine if it.state == "off" and it.may_start()]
            if awaited := [it.server.name for it in idle if it.awaited]:
                view.show(Notice(text=f"Starting MCP servers: {', '.join(awaited)}."))
            await mine.start(MOST_WAIT_SECONDS)
            self._require(mine)
            self._list_once(session)
        except BaseException:
            view.close(None)
            raise
        for it in mine:
            if it.state == "failed" or (it.state == "off" and it.error):
                notices.append(f"The MCP server {it.server.name} does not run: {it.error}")
            elif it.state == "starting" and it.listing is None:
                notices.append(f"The MCP server {it.server.name} is still starting.")
        return (*notices, *_unsearched(mine, session))

    async def restart(self, chosen: Chosen, name: str) -> Connection:
        """Start a server anew, also before the first turn. Raises ServerCallError."""
        servers, notices = self.startable(chosen)
        if name not in (it.name for it in servers):
            told = [it for it in notices if name in it]
            raise ServerCallError(" ".join(told) or f"There is no server {name!r}.")
        mine = await self.use(servers)
        return await mine.restart(name)

    async def use(self, servers: Iterable[McpServer]) -> McpServers:
        """The servers of the session, which are these from now on. None is started."""
        mine = self._services.get(McpServers, self._make)
        await mine.use(servers)
        return mine

    def lines(self) -> Mapping[str, str]:
        """A line about each server and each function, for the model."""
        mine = self.running or ()
        told = {f"server {it.server.name}": self._line(it) for it in mine}
        return {**told, **self.functions.lines()}

    def _require(self, mine: McpServers) -> None:
        for it in mine:
            if it.server.required and it.state != "ready":
                name = it.server.name
                raise UsageError(
                    f"The MCP server {name} does not run, and is required: {it.error}",
                    f"`%agent mcp log {name}` shows its words, and `%agent mcp restart {name}`"
                    " starts it again.",
                )

    def _list_once(self, session: Session) -> None:
        """Decide for the session which tools of servers and functions its requests list."""
        conversation, mine = session.conversation, self.running
        if conversation.listed is None and conversation.turns == 0:
            window = session.settings.window or session.target.window
            theirs = rows_of_servers(mine, window) if mine else ()
            rows = (*theirs, *self.functions.rows(window))
            if rows or mine:
                session.journal.write(ToolsLine(tools=[asdict(it) for it in rows]))
        rows = listed_rows(session)
        self._direct = frozenset(it.server for it in rows if it.server)
        searched = searched_servers(mine or (), rows) if can_search(session) else frozenset[str]()
        self._searched = searched - self._direct

    def tools(self, session: Session, asked: Approvals) -> ServerTools:
        """The tools of a turn. `asked`: puts what servers ask. Those in requests have a fixed
        order, and code has all of the servers that run."""
        answer = ServerAnswers(asked, session).answer
        mine = self.running or self._make(self._services.loop)
        listed = tools_of_rows(session, mine, answer)

        def for_code() -> tuple[Tool[Any], ...]:
            now = self.running
            return (*finding_tools(now), *code_tools(now, answer)) if now else ()

        return ServerTools(self.functions, listed, for_code)

    def _line(self, it: Connection) -> str:
        if it.listing is None or (it.error and it.state in ("failed", "off")):
            return f"does not run: {it.error}" if it.error else "is starting"
        names = [tool.name for tool in it.tools]
        place = it.server.name
        path = f"{AGENT_TOOLS}.{place}" if place.isidentifier() else f"{AGENT_TOOLS}[{place!r}]"
        found = f", found by {TOOL_SEARCH}" if place in self._searched else ""
        told = f"{len(names)} tools{found}, for code in {path}"
        if place not in self._direct and len(names) <= MAX_NAMED_TOOLS:
            told += f": {', '.join(names)}"
        elif place not in self._direct and not found:
            told += f", found by {AGENT_TOOLS}.find_tools(query=...)"
        words = " ".join(it.listing.instructions.split())
        cut = words if len(words) <= MAX_SERVER_WORDS else f"{words[:MAX_SERVER_WORDS]}…"
        return printable(f"{told}. It says of itself: {cut}" if cut else told)

    async def _login(self, server: McpServer, refused: Callable[[], object]) -> Any:
        from ...agent.tools.mcp.oauth import kept_login

        return await kept_login(server, self.logins, refused)

    def _project(self) -> Path:
        here = self._obeys.working()
        return next(iter(project_folders(here)), here)

    def _make(self, loop: ServiceLoop) -> McpServers:
        kept = KeptListings(self._sessions().with_name(LISTINGS_FOLDER))
        hooks = ServerHooks(
            kept=kept.read,
            keep=kept.keep,
            token=self._token,
            auth=self._login,
            refused=self._refused,
            project=self._project,
        )
        return McpServers(loop, lambda: logs_folder(self._project()), hooks)


def _unsearched(servers: McpServers, session: Session) -> tuple[str, ...]:
    """A sentence if some servers are to be searched, and the model cannot search."""
    names = [it.server.name for it in servers if it.server.expose == "search"]
    if not names or session.target.traits.tool_search:
        return ()
    told = f"{session.target.model} does not search for tools"
    return (f"{told}: those of {', '.join(names)} are for code.",)
