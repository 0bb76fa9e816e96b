"""What a tool is, and the tools that need no kernel."""
