"""A confined copy of the live kernel, in which code is tried before it runs for real."""
