"""Readers of documents: each gives the texts of a file by place."""
