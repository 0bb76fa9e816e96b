"""Measures the cost of a turn's requests: a measuring server, and the clients to compare."""
