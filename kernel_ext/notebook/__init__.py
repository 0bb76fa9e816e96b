"""The notebook as a document: the open one in a page, or its file. Knows no tool."""
