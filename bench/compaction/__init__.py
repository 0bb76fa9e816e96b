"""Measures what a compaction keeps and costs: planted facts, growth, the prompt cache."""
