"""Tools of MCP servers: their names, their results, and how one is found. No protocol, no I/O."""
