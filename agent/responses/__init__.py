"""The Responses API: one request, its stream, its transports. Knows no session."""
