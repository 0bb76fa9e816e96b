"""What a subcommand shows, and what a person can press. Knows no session."""
