"""Plays a scenario of the conformance suite with our client. `conformance_client.py URL`."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from inkernel.agent.config.mcp_servers import McpServer
from inkernel.agent.tools.mcp.calls import Caller, CallLine
from inkernel.agent.tools.mcp.connection import Connection, ServerHooks

SCENARIO = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
ARGUMENTS = {"add_numbers": {"a": 2, "b": 3}}
"""What the tools of the scenarios need."""
HOOKS = ServerHooks(changed=lambda: None, token=lambda _server: None)


async def main(url: str) -> None:
    """Start the server of the scenario, and call each of its tools."""
    server = McpServer.model_validate({"name": "suite", "url": url})
    with tempfile.TemporaryDirectory() as folder:
        connection = Connection(server, Path(folder, "log"), HOOKS)
        await connection.start()
        assert connection.state == "ready", connection.error
        for tool in connection.tools:
            line = CallLine(Caller())
            await connection.call(tool.name, ARGUMENTS.get(tool.name, {}), line)
        await connection.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[-1]))
