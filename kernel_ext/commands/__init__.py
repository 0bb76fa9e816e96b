"""The subcommands of `%agent`, one file for each subject. Knows only the host's public methods."""
