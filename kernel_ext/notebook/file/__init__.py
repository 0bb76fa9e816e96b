"""A notebook's file: its cells are edited, and every other byte is left as it is."""
