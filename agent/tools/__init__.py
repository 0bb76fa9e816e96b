"""The type of a tool, and the tools that need no kernel."""
