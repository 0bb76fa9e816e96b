"""What the model hears of the place it works in, and how a request begins."""
