"""What a shortened conversation keeps and costs: planted facts, growth, the prompt cache."""
