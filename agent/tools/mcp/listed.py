"""The tools of a server as it lists them, and the same as JSON. Knows no life of a server."""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from ...config.mcp_servers import McpServer
from ...frozen import frozen
from ..json_schema import returned
from ..schema import JsonSchema

if TYPE_CHECKING:
    from mcp import Client

MAX_PAGES, MAX_TOOLS = 100, 2_048
"""Most pages of one list, and most tools of one server."""


@frozen
class ListedTool:
    """A tool as its server lists it. `returns`: the type of its results, if they have a schema.

    `reads_only`: the server says that it changes nothing. `arguments`: repaired and read only once.
    """

    server: str
    name: str
    description: str
    arguments: JsonSchema
    returns: str = "Any"
    reads_only: bool = False


@frozen
class Listing:
    """All that a server lists at its start. `instructions`: its own words about itself.

    `has_resources`: there is something to read.
    """

    tools: tuple[ListedTool, ...] = ()
    instructions: str = ""
    has_resources: bool = False


class _KeptTool(BaseModel):
    model_config = ConfigDict(defer_build=True)

    name: str
    description: str
    parameters: dict[str, Any]
    returns: str
    reads_only: bool


class _KeptListing(BaseModel):
    model_config = ConfigDict(defer_build=True)

    instructions: str
    has_resources: bool
    tools: list[_KeptTool]


def listing_json(listing: Listing) -> str:
    """A listing as JSON, from which `read_listing` makes an equal one."""
    tools = [
        _KeptTool(
            name=it.name,
            description=it.description,
            parameters=dict(it.arguments.given),
            returns=it.returns,
            reads_only=it.reads_only,
        )
        for it in listing.tools
    ]
    words, has_resources = listing.instructions, listing.has_resources
    kept = _KeptListing(instructions=words, has_resources=has_resources, tools=tools)
    return kept.model_dump_json()


def read_listing(server: McpServer, text: str | bytes) -> Listing:
    """The listing of a server in a JSON text. Raises ValueError if there is none in it."""
    kept = _KeptListing.model_validate_json(text)
    tools = (
        ListedTool(
            server=server.name,
            name=it.name,
            description=it.description,
            arguments=JsonSchema(it.parameters),
            returns=it.returns,
            reads_only=it.reads_only,
        )
        for it in kept.tools
        if server.offers(it.name)
    )
    return Listing(tuple(tools), kept.instructions, kept.has_resources)


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
        returns="Any" if tool.output_schema is None else returned(tool.output_schema),
        reads_only=bool(notes and notes.read_only_hint),
    )
