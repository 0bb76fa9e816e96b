"""A tool call, from verdict to output. Knows no model and no particular tool."""
