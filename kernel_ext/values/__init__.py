"""Reads live values without running their code. Knows no kernel and no turn."""
