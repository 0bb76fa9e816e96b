"""Cuts the text of a place into passages that a search can find. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

MAX_PASSAGE_CHARS, OVERLAP_CHARS = 1_400, 200
"""Most characters of a passage, and those that it shares with the one before it."""
_ENDS = ("\n\n", "\n", ". ", " ")
"""Where a passage may end, the best first."""


class Passage(NamedTuple):
    """A part of the text of a place: characters `start` to `end`."""

    start: int
    end: int
    text: str


def passages(text: str) -> Iterator[Passage]:
    """The passages of a text. Together they cover it. Blank ones are left out."""
    start = 0
    while start < len(text):
        end = _end(text, start)
        if text[start:end].strip():
            yield Passage(start, end, text[start:end])
        if end == len(text):
            return
        start = max(start + 1, end - OVERLAP_CHARS)


def _end(text: str, start: int) -> int:
    most = start + MAX_PASSAGE_CHARS
    if most >= len(text):
        return len(text)
    for mark in _ENDS:
        at = text.rfind(mark, start + MAX_PASSAGE_CHARS // 2, most)
        if at > 0:
            return at + len(mark)
    return most
