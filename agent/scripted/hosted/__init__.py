"""Tools that OpenAI's API has besides functions, as the scripted model plays them."""
