"""Text for a model: counted, cut, searched. Pure; knows no conversation."""
