"""The conversation and its cell runs, in memory and on disk. Knows no model and no tool."""
