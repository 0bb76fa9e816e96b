"""An MCP server with as many tools as it is asked for. `tool_server.py NUMBER`."""

import sys

from mcp.server.mcpserver import MCPServer

server = MCPServer("bench")


def add(number: int) -> None:
    """Add a tool such as a catalogue has."""

    def find(query: str, limit: int = 10, kinds: list[str] | None = None) -> dict[str, int]:
        return {"found": len(query) + limit + len(kinds or ())}

    find.__doc__ = f"Finds things of kind {number} in the catalogue that fit, the newest first."
    server.add_tool(find, name=f"find_things_{number:03d}")


if __name__ == "__main__":
    for number in range(int(sys.argv[1])):
        add(number)
    server.run("stdio")
