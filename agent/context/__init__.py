"""The context for the model: environment, cell runs, variables, and instructions."""
