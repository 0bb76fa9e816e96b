"""The configuration of a session: settings in layers, and the project around it."""
