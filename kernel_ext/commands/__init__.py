"""`%agent …`: one file a noun. Knows the host's public methods only."""
