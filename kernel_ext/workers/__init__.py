"""Processes other than this one, in which code runs."""
