"""Functions of the person as tools: `@inkernel.tool` marks one, and a session finds the marked."""
