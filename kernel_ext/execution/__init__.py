"""Runs the agent's code as a cell. Knows no turn and no view."""
