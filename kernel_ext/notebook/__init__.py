"""The notebook as a document: open in a page, or as a file. Knows no tool."""
