"""Tools of MCP servers: servers are started and called, their tools are tools like any other."""
