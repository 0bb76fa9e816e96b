"""Text for a model: counted, cut, searched. Pure. Knows no conversation."""
