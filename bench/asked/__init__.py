"""Facts in a session of mixed work, asked for as people ask."""
