"""MCP servers of a kernel: which may start, and what a turn gets of them."""
