"""Live values, looked at without running their code. Knows no kernel and no turn."""
