"""The agent: loop, requests, conversation, tools, policy. Knows no IPython, Jupyter or widget."""
