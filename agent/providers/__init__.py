"""Which server and model, with which key, at what price. Sends no request of its own."""
