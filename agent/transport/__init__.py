"""How a request goes to its server, and how the answer comes back. Knows no session."""
