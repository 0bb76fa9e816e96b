"""Measures the figures of the pages: a script for each subject, and one list of all rows."""
