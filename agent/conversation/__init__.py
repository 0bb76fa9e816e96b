"""What was said and run, in memory and on disk. Knows no model and no tool."""
