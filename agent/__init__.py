"""The agent: loop, wire, conversation, tools, policy. Knows no IPython, Jupyter or widget."""
