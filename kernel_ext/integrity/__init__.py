"""Notices that code of a step changed parts of ours, and puts them back."""
