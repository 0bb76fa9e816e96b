"""Renders state as HTML, Markdown and text. Pure functions that know no front end."""
