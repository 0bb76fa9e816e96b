"""Asks the person: one question, one answer. Knows no policy and no tool."""
