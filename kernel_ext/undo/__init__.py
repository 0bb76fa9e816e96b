"""Variables as they were before a turn. Knows no conversation."""
