"""May this action run? Pure: does no I/O, asks nobody."""
