"""An MCP server with many habits, for the tests. `habits.py [NUMBER]` has that many tools more.

While the file exists that `WAITS_WHILE` names, it does not begin. One tool that `GONE` names, if it
is a file, is missing.
"""

import asyncio
import base64
import os
import sys
import time

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp_types import ToolAnnotations

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGA"
    "hKmMIQAAAABJRU5ErkJggg=="
)
server = MCPServer("habits", instructions="Rain of towns.")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def wettest(town: str, year: int = 2020) -> dict[str, float]:
    """The wettest month of a town, and its rain in mm."""
    return {"month": 7, "mm": 100.0 + year % 10 + len(town)}


@server.tool()
async def slow(seconds: float, ended: str = "") -> str:
    """Takes its time. A call that is cancelled makes the file `ended`."""
    try:
        await asyncio.sleep(seconds)
    except BaseException:
        if ended:
            with open(ended, "w") as file:
                file.write("cancelled")
        raise
    return "done"


@server.tool()
def picture() -> Image:
    """A picture of one point."""
    return Image(data=base64.b64decode(PIXEL), format="png")


@server.tool()
def crash() -> str:
    """Ends the process."""
    os._exit(3)


@server.tool()
def fail() -> str:
    """Raises."""
    raise ValueError("no such table: x")


@server.tool()
def big(megabytes: int) -> str:
    """So many letters."""
    return "x" * (megabytes << 20)


@server.tool()
def process() -> int:
    """The id of this process."""
    return os.getpid()


@server.tool()
def environment() -> list[str]:
    """The names of the variables that the server has."""
    return sorted(os.environ)


@server.tool()
def variable(name: str) -> str:
    """The value of a variable."""
    return os.environ.get(name, "")


@server.tool()
async def grow(name: str, ctx: Context) -> str:
    """Adds a tool, and says that the list has changed."""
    server.add_tool(lambda: "new", name=name, description="added later")
    try:
        await ctx.notify_tools_changed()
    except Exception:
        await ctx.session.send_tool_list_changed()
    return "added"


def _more(number: int) -> None:
    for n in range(number):

        def find(query: str, limit: int = 10, filters: dict[str, str] | None = None) -> str:
            return f"{query} {limit} {filters}"

        find.__doc__ = f"Finds things of kind {n} in the catalogue that fit, the newest first."
        server.add_tool(find, name=f"find_things_{n:03d}")


if __name__ == "__main__":
    while os.path.exists(os.environ.get("WAITS_WHILE", "")):
        time.sleep(0.05)
    if os.path.exists(os.environ.get("GONE", "")):
        server.remove_tool("wettest")
        server.add_tool(lambda: "new", name="newest", description="added since then")
    _more(int(sys.argv[1]) if sys.argv[1:] else 0)
    server.run("stdio")
