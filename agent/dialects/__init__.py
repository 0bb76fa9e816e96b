"""Requests and answers in the words of each kind of API. Knows no session and does no I/O."""
