"""A second MCP server for the tests: a catalogue of towns. `catalogue.py [PORT [SECONDS]]`.

With a port it speaks streamable HTTP. It begins after so many seconds.
"""

import asyncio
import sys
import time

from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel

server = MCPServer("catalogue")


class Town(BaseModel):
    """A town."""

    name: str
    inhabitants: int


@server.tool(name="look up")
async def look_up(name: str, seconds: float = 0) -> Town:
    """The entry of a town, after some seconds."""
    await asyncio.sleep(seconds)
    return Town(name=name, inhabitants=1000 * len(name))


@server.tool()
def towns(names: list[str]) -> list[Town]:
    """Several entries."""
    return [Town(name=it, inhabitants=1000 * len(it)) for it in names]


if __name__ == "__main__":
    port, seconds, *_ = [*map(float, sys.argv[1:]), 0, 0]
    time.sleep(seconds)
    if port:
        server.run("streamable-http", port=int(port))
    else:
        server.run("stdio")
