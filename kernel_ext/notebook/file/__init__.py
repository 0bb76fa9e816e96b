"""A notebook's file. Edits change its cells, and leave every other byte as it is."""
