"""The person's own cell runs. Light: it loads with the extension."""
