"""The user's own cell runs. It loads with the extension, so it imports little."""
