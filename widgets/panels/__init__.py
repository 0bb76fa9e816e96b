"""The cards that subcommands show. Knows no session."""
