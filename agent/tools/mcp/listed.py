"""The tools of a server as it lists them. Knows no life of a server."""

from typing import TYPE_CHECKING, Any

from ...config.mcp_servers import McpServer
from ...frozen import frozen
from ..schema import JsonSchema

if TYPE_CHECKING:
    from mcp import Client

MAX_PAGES, MAX_TOOLS = 100, 2_048
"""Most pages of one list, and most tools of one server."""


@frozen
class ListedTool:
    """A tool as its server lists it. `structured`: its results have a schema.

    `reads_only`: the server says that it changes nothing. `arguments`: repaired and read only once.
    """

    server: str
    name: str
    description: str
    arguments: JsonSchema
    structured: bool = False
    reads_only: bool = False


async def list_tools(client: "Client", server: McpServer) -> tuple[ListedTool, ...]:
    """The tools that the configuration leaves of a server, by name. Raises what the SDK raises."""
    found, cursor = dict[str, ListedTool](), None
    for _ in range(MAX_PAGES):
        page = await client.list_tools(cursor=cursor, cache_mode="refresh")
        for it in page.tools:
            if server.offers(it.name) and len(found) < MAX_TOOLS:
                found.setdefault(it.name, _listed(server.name, it))
        cursor = page.next_cursor
        if not cursor:
            break
    return tuple(found[name] for name in sorted(found))


def _listed(server: str, tool: Any) -> ListedTool:
    notes = tool.annotations
    return ListedTool(
        server=server,
        name=tool.name,
        description=tool.description or tool.title or "",
        arguments=JsonSchema(tool.input_schema),
        structured=tool.output_schema is not None,
        reads_only=bool(notes and notes.read_only_hint),
    )
