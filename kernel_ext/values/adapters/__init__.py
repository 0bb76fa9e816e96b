"""One file a library: how its values are read, compared and followed, without a person's code."""
