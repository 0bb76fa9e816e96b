"""The scripted model: a Responses server that plays a file. Knows no client of ours."""
