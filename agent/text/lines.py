"""A long text by its lines: line numbers, spans, and a mark where it was cut.

Knows neither what the text is nor where it is kept.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence

from .tokens import estimate

Span = tuple[int, int]
"""Where a part of a text starts and ends, in characters."""

FOLD_CHARS = 400
"""Most characters of an addressable line. A longer line counts as several."""

MARK_TOKENS = 32
"""Most tokens of the line that marks a gap."""

MAX_TOKEN_CHARS = 8
"""Most characters kept for one token."""


class Lines:
    """A text as addressable lines, numbered from 1."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts: list[int] = []
        at = 0
        for line in text.split("\n"):
            self._starts.extend(range(at, at + max(len(line), 1), FOLD_CHARS))
            at += len(line) + 1
        if text.endswith("\n"):
            self._starts.pop()

    def __len__(self) -> int:
        return len(self._starts)

    def number(self, at: int) -> int:
        """The number of the line that has the character at `at`."""
        return bisect_right(self._starts, at)

    def start(self, number: int) -> int:
        """The first character of a line."""
        return self._starts[number - 1]

    def cut(self, first: int, last: int) -> str:
        """Lines `first` to `last`, both included, as they are in the text."""
        end = self._starts[last] if last < len(self) else len(self.text)
        return self.text[self.start(first) : end]


def ends(text: str, start: int, end: int, limit: int) -> list[Span]:
    """Head and tail of text[start:end], in about `limit` tokens together; all of it if it fits.

    The cut falls on line ends where that leaves out little.
    """
    part = text[start:end]
    if estimate(part) <= limit:
        return [(start, end)]
    half = limit // 2
    if half < 1:
        return []
    head = _reach(part[: MAX_TOKEN_CHARS * half], half)
    tail = _reach(part[: -MAX_TOKEN_CHARS * half - 1 : -1], half)
    line_end = part.rfind("\n", 0, head) + 1
    if line_end > head // 2:
        head = line_end
    line_start = part.find("\n", len(part) - tail) + 1
    if 0 < line_start <= len(part) - tail // 2:
        tail = len(part) - line_start
    return [(start, start + head), (max(start + head, end - tail), end)]


def around(text: str, start: int, end: int, at: int, limit: int) -> list[Span]:
    """The lines of text[start:end] around the character at `at`, in about `limit` tokens."""
    half = limit // 2
    if half < 1:
        return []
    begin = at - _reach(text[max(start, at - MAX_TOKEN_CHARS * half) : at][::-1], half)
    stop = at + _reach(text[at : min(end, at + MAX_TOKEN_CHARS * half)], half)
    if begin > start:
        begin = text.find("\n", begin, at) + 1 or begin
    if stop < end:
        stop = text.rfind("\n", at, stop) + 1 or stop
    return [(begin, stop)]


def with_gaps(lines: Lines, spans: Sequence[Span], handle: str) -> str:
    """The spans in order. A mark in each gap names the lines of `handle` that are left out.

    A gap that costs no more than its mark stays in the text.
    """
    text = lines.text
    said: list[str] = []
    at = 0
    for start, end in (*spans, (len(text), len(text))):
        gap = text[at:start]
        cost = estimate(gap)
        if cost <= MARK_TOKENS:
            said.append(gap)
        else:
            first, last = lines.number(at), lines.number(start - 1)
            where = f"lines {first}–{last} of {handle} left out, about {cost} tokens"
            before = "" if not said or said[-1].endswith("\n") else "\n"
            said.append(f"{before}[… {where} …]\n")
        said.append(text[start:end])
        at = end
    return "".join(said)


def _reach(text: str, limit: int) -> int:
    """How many characters from the start of `text` have at most `limit` tokens."""
    while text and (tokens := estimate(text)) > limit:
        text = text[: len(text) * limit // tokens]
    return len(text)


def overwritten(old: str, new: str) -> str:
    """Both texts, without what a carriage return overwrote. So a progress bar is one line."""
    if "\r" not in new and not old.endswith("\r"):
        return old + new
    at = old.rfind("\n") + 1
    lines = (old[at:] + new).split("\n")
    return old[:at] + "\n".join(line[line.rstrip("\r").rfind("\r") + 1 :] for line in lines)


def count_of(number: int, noun: str) -> str:
    """`1 turn`, `2 turns`, `1,000 turns`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def fenced(text: str, language: str = "") -> str:
    """The text in a Markdown fence longer than any that it holds."""
    fence = "`" * (1 + max(map(len, re.findall("`{3,}", text)), default=2))
    return f"{fence}{language}\n{text}\n{fence}"
