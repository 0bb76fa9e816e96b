"""Tools of servers that the model searches for, loads and calls. Knows no turn.

The answer to a search stays in the conversation as it was. It has a namespace for each server.
DeepSeek and gateways refuse a namespace that is declared twice in one request, and then the whole
session (openai/codex#44378), so each answer has names of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from pydantic import BaseModel, Field

from ...conversation.history import OF_SERVERS, LoadedKey, base_namespace, loaded_name
from ...frozen import frozen
from ...printable import printable
from ...protocol.items import TOOL_SEARCH, FunctionCall, text_part
from ...protocol.verbatim_json import dumps
from ...text.tokens import estimate
from ..schema import FieldsOf
from ..tool import Tool, ToolCall, ToolOutput, always
from ..tool_search import SearchTool
from .find import MAX_TOOLS_FOUND, best_tools
from .names import again_namespace, function_name, namespace_name
from .servers import McpServers
from .tools import AnswerServer, DirectTool, code_tools, listed_tool, refuse_server, tool_row

MAX_LOADED, MAX_NAMESPACE_WORDS = 20, 200
"""Most tools of one answer, and most characters of a server's words about itself in it."""
_SEARCH = (
    "Find tools of the person's servers and load them. From the next response on you can call"
    " those that it gives. The servers: {}."
)


class SearchTools(BaseModel):
    """The tools that are sought."""

    query: str = Field(max_length=1_000, description="what it is for, in other words too")
    limit: int = MAX_TOOLS_FOUND


@frozen
class SearchScope:
    """The tools that a search may load. `offers`: whether a tool is one, by its loaded name.

    `loaded`: the functions that the model has in its window now. `tokens`: most of one answer.
    """

    offers: Callable[[Tool[Any], str], bool]
    loaded: Callable[[], Mapping[LoadedKey, Mapping[str, Any]]]
    tokens: int


def search_row(servers: Iterable[str]) -> DirectTool:
    """The search as the requests of a session list it. It names these servers."""
    words = _SEARCH.format(", ".join(map(printable, sorted(servers))))
    return DirectTool("", "", TOOL_SEARCH, words, FieldsOf(SearchTools).parameters())


def search_tool(
    servers: McpServers,
    row: DirectTool,
    scope: SearchScope,
    answer: AnswerServer = refuse_server,
    replaces: frozenset[str] = frozenset(),
) -> SearchTool:
    """The search of one turn, and the tools that it has loaded."""
    taken = set[str]()  # by this turn's answers, of which several may be made at once

    async def run(_call: ToolCall, asked: SearchTools) -> ToolOutput:
        found = _found(servers, scope, asked)
        taken.update(namespace for namespace, _ in scope.loaded())
        loads = tuple(_namespaces(servers, found, taken))
        names = ", ".join(it.code_path for it in found)
        return ToolOutput((text_part(names or "No tool fits."),), loads=loads)

    def loaded(call: FunctionCall) -> Tool[Any] | None:
        known = scope.loaded()
        found = {(base_namespace(it[0]), it[1]): it for it in known if _means(call, it)}
        keys = [*found.values()]  # of a tool that was loaded again, the last
        return _loaded_tool(servers, keys[0], known[keys[0]], answer) if len(keys) == 1 else None

    return SearchTool(
        TOOL_SEARCH,
        row.description,
        FieldsOf(SearchTools),
        run,
        always("look"),
        parameters=row.parameters,
        loaded=loaded,
        replaces=replaces,
    )


def _found(servers: McpServers, scope: SearchScope, asked: SearchTools) -> list[Tool[Any]]:
    """The best tools, but those that are loaded only if no others fit."""
    tools = {(it.server, it.local): it for it in code_tools(servers)}
    rows = [tool_row(it) for it in tools.values() if scope.offers(it, _full_name(it))]
    limit = max(1, min(asked.limit, MAX_LOADED))
    best = [tools[it.server, it.tool] for it in best_tools(rows, asked.query, limit=limit)[:limit]]
    known = {loaded_name(*it) for it in scope.loaded()}
    fresh = [it for it in best if _full_name(it) not in known] or best
    left, found = scope.tokens, list[Tool[Any]]()
    for tool in fresh:
        left -= estimate(dumps(_function(tool)).decode())
        if left >= 0 or not found:
            found.append(tool)
    return found


def _namespaces(
    servers: McpServers, tools: Sequence[Tool[Any]], taken: set[str]
) -> Iterator[dict[str, Any]]:
    """The tools in a namespace for each server. None has a name in `taken`, which gets the new."""
    words = {it.server.name: it.listing.instructions for it in servers if it.listing}
    for server in dict.fromkeys(it.server for it in tools):
        base = namespace_name(server)
        name = next(it for n in count(1) if (it := again_namespace(base, n)) not in taken)
        taken.add(name)
        about = printable(f"Tools of the server {server}. {words.get(server, '')}")
        yield {
            "type": "namespace",
            "name": name,
            "description": " ".join(about.split())[:MAX_NAMESPACE_WORDS],
            "tools": [_function(it) for it in tools if it.server == server],
        }


def _function(tool: Tool[Any]) -> dict[str, Any]:
    """A tool as an answer has it: as a request would, under its name in the namespace."""
    return {**tool.schema, "name": function_name(tool.local), "defer_loading": True}


def _full_name(tool: Tool[Any]) -> str:
    return loaded_name(namespace_name(tool.server), function_name(tool.local))


def _means(call: FunctionCall, key: LoadedKey) -> bool:
    """Whether a call means a loaded function: in its namespace, or by its name without one."""
    if call.namespace is None:
        return call.name == loaded_name(*key)
    return (call.namespace, call.name) == key and call.namespace.startswith(OF_SERVERS)


def _loaded_tool(
    servers: McpServers, key: LoadedKey, listed: Mapping[str, Any], answer: AnswerServer
) -> Tool[Any]:
    """The tool that was loaded under that key. If its server has it no more, a call says so."""
    namespace, name = base_namespace(key[0]), key[1]
    names = [it.server.name for it in servers if namespace_name(it.server.name) == namespace]
    server = names[0] if names else namespace.removeprefix(OF_SERVERS)
    tools = (it.name for it in servers.tools if it.server == server)
    tool = next((it for it in tools if function_name(it) == name), name)
    described = str(listed.get("description") or name)
    row = DirectTool(server, tool, loaded_name(*key), described, listed.get("parameters") or {})
    return listed_tool(servers, row, answer)
