"""Finds cell runs, prompts and answers in a record by words."""
