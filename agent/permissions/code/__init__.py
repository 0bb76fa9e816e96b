"""Reads Python code without running it: what it does beyond its variables. Pure."""
