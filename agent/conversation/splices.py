"""An item as splices of another line of the record, so that no text is kept twice. Pure.

The model sees a run as an item, and the record has that run in a line of its own. Both are JSON,
and hold the same texts with the same escapes. Knows neither runs nor files.
"""

import re
from collections.abc import Iterator, Sequence

Splice = str | Sequence[int]
"""A text, or the first and last character + 1 of a part of the other line."""

LEAST, LEAST_ITEM = 48, 300
"""Least characters of a part, whose two numbers take up to about 16, and of an item in splices."""

MOST = 300_000
"""Most bytes of the other line that are searched, from its start."""

_WORDS = re.compile(r'(?:\\[n"])*(?<!\\)([^"\\]{8,}(?:\\[^n"][^"\\]*)*)')
"""Text without quotes and line ends, which may be there in one of both and not in the other."""


def splices_of(text: str, other: str) -> list[Splice] | None:
    """`text` as splices, or None if `other` has no long part of it."""
    if len(text) < LEAST_ITEM:
        return None
    splices, end = list[Splice](), 0
    for start, there, size in _common(text, other):
        splices += [text[end:start]] if start > end else []
        splices.append((there, there + size))
        end = start + size
    return [*splices, text[end:]] if splices else None


def spliced(splices: Sequence[Splice], other: str) -> str:
    """The text again. Raises ValueError if `other` is too short."""
    return "".join(it if isinstance(it, str) else _part(other, *it) for it in splices)


def _part(other: str, start: int, end: int) -> str:
    if not 0 <= start <= end <= len(other):
        raise ValueError("a part that the line does not have")
    return other[start:end]


def _common(text: str, other: str) -> Iterator[tuple[int, int, int]]:
    """Parts that both have, in the same order: where in `text`, where in `other`, how long."""
    end = past = 0
    for words in _WORDS.finditer(text):
        start = words.start(1)
        if start < end or (there := other.find(words[1], past)) < 0:
            continue
        size = _same(text, start, other, there)
        if size >= LEAST:
            yield start, there, size
            end, past = start + size, there + size


def _same(text: str, at: int, other: str, there: int) -> int:
    """How many characters from `at` in `text` and from `there` in `other` are the same."""
    most = min(len(text) - at, len(other) - there)
    size, step, grows = 0, LEAST, True
    while step and size < most:
        end = size + step
        same = text[at + size : at + end] == other[there + size : there + end]
        size = end if same else size
        grows = grows and same
        step = 2 * step if grows else step // 2
    return min(size, most)
