"""Which tools of servers the requests of a session list, and how the model gets the others.

A request lists the same to the end of its session, and the record has that. Knows no life of a
server.
"""

from collections.abc import Iterable
from typing import Any

from ...agent.protocol.items import TOOL_SEARCH
from ...agent.session import Session
from ...agent.tools.mcp.connection import Connection
from ...agent.tools.mcp.search import SearchScope, search_row, search_tool
from ...agent.tools.mcp.servers import McpServers
from ...agent.tools.mcp.tools import (
    AnswerServer,
    DirectTool,
    direct_tools,
    finding_tools,
    fits_request,
    listed_tool,
)
from ...agent.tools.tool import Tool

_SEARCHED = ("auto", "search")
FIND_TOOLS = "find_tools"


def rows_of_servers(servers: McpServers, window: int | None) -> tuple[DirectTool, ...]:
    """The tools as the requests of a new session list them: those that find others, then direct
    ones. Which of the first are sent depends on the model."""
    how = {it.server.name: it.server.expose for it in servers}
    auto = [it for it in servers.tools if how[it.server] == "auto"]
    forced = [it for it in servers.tools if how[it.server] == "direct"]
    fit = fits_request(direct_tools([*auto, *forced]), window)
    direct = direct_tools([*forced, *(auto if fit else ())])
    searched = {it.server for it in auto if not fit}
    searched |= {name for name, expose in how.items() if expose == "search"}
    coded = any(how[it.server] == "code" for it in servers.tools)
    readable = any(it.listing and it.listing.has_resources for it in servers)
    find, *reading = (DirectTool("", "", it.name, "", {}) for it in finding_tools(servers))
    return (
        *([find] if coded else ()),
        *([search_row(searched)] if searched else ()),
        *(reading if readable else ()),
        *direct,
    )


def listed_rows(session: Session) -> list[DirectTool]:
    """The tools of servers and of functions that each request of the session lists."""
    return [DirectTool(**it) for it in session.conversation.listed or ()]


def can_search(session: Session) -> bool:
    """Whether the model of the session may search for tools now."""
    refused = TOOL_SEARCH in session.conversation.refused
    return session.target.traits.tool_search and not refused


def searched_servers(servers: Iterable[Connection], rows: Iterable[DirectTool]) -> frozenset[str]:
    """The servers whose tools a search may load. None, if the session has no search."""
    if not any(_is_search(it) for it in rows):
        return frozenset()
    return frozenset(it.server.name for it in servers if it.server.expose in _SEARCHED)


def tools_of_rows(
    session: Session, servers: McpServers, answer: AnswerServer
) -> tuple[Tool[Any], ...]:
    """The tools of servers that the requests of a turn may list, in their order."""
    rows = listed_rows(session)
    finding = {tool.name: tool for tool in finding_tools(servers)}
    found: list[Tool[Any]] = []
    for row in rows:
        if row.server:
            found.append(listed_tool(servers, row, answer))
        elif _is_search(row):
            alone = FIND_TOOLS not in {it.name for it in rows if not it.tool}
            found += [finding[FIND_TOOLS]] if alone else []
            if session.target.traits.tool_search:
                replaces = frozenset([FIND_TOOLS] if alone else ())
                scope = _scope(session, servers, rows)
                found.append(search_tool(servers, row, scope, answer, replaces))
        elif row.name in finding and not row.tool:
            found.append(finding[row.name])
    return tuple(found)


def _scope(session: Session, servers: McpServers, rows: list[DirectTool]) -> SearchScope:
    direct = {(it.server, it.tool) for it in rows}

    def offers(tool: Tool[Any], name: str) -> bool:
        searched = servers.find(tool.server).server.expose in _SEARCHED
        listed = (tool.server, tool.local) in direct
        return searched and not listed and name not in session.conversation.refused

    return SearchScope(
        offers,
        lambda: session.conversation.history.loaded,
        session.settings.output_tokens,
    )


def _is_search(row: DirectTool) -> bool:
    return row.name == TOOL_SEARCH and not row.tool
