"""What a session is told to be: settings in layers, and the project around it."""
