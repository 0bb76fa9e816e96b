"""`%agent mcp`: the servers of the session."""
