"""Undo: brings variables back as they were before a turn. Knows no conversation."""
