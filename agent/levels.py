"""The index of cell runs, by levels: the latest a line each, older ones by tens, hundreds, …

A range is always the same runs and the same line, so that folding an old one changes no newer one.
Pure; knows neither what runs showed nor where they are kept.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from .runs import RunHead, Runs
from .tokens import estimate

KEEPS = (100, 50, 20, 10, 5, 2, 1)
"""How many lines of each level there are, at least; the first that fits is taken."""

NAMES = 6
"""Most names of one range."""

LARGE = 100
"""Tokens of a run from which on its size is told."""

BASE = 10

Span = tuple[int, int]
"""Where a row of runs starts and ends, counted from 0."""

Besides = Callable[[RunHead], str | None]
"""What besides is to be said of a run; None when the person hides it."""


def index_lines(runs: Runs, upto: int, budget: int, besides: Besides) -> list[str]:
    """Lines for the first `upto` runs, in at most about `budget` tokens."""
    lines = list[str]()
    for keep in KEEPS:
        lines = list(_lines(runs, ranges(upto, keep), besides))
        if sum(map(estimate, lines)) <= budget:
            return lines
    return _coarser(runs, ranges(upto, KEEPS[-1]), budget, besides)


def _coarser(runs: Runs, spans: list[Span], budget: int, besides: Besides) -> list[str]:
    """Lines for a very small window: the oldest spans become one, more of them until it fits."""
    lines = list[str]()
    while len(spans) > 1:
        half = len(spans) // 2 or 1
        spans = [(0, spans[half][1]), *spans[half + 1 :]]
        lines = list(_lines(runs, spans, besides))
        if sum(map(estimate, lines)) <= budget:
            break
    return lines


def ranges(upto: int, keep: int) -> list[Span]:
    """`range(upto)` as spans of 1, 10, 100 … numbers, each beginning at a multiple of its length.

    From the end, `keep` to `keep + 9` spans of each length, but for the longest: all that is left.
    """
    found: list[Span] = []
    end, size = upto, 1
    while end:
        start = max(0, end // size - keep) // BASE * BASE * size
        found += [(at, min(at + size, end)) for at in reversed(range(start, end, size))]
        end, size = start, size * BASE
    return found[::-1]


def run_line(head: RunHead, besides: str = "") -> str:
    """One run in a line."""
    outcome = f"{head.status} {head.error}".strip()
    bound = f"; bound {', '.join(head.bound)}" if head.bound else ""
    size = f", {head.tokens:,} tokens" if head.tokens > LARGE else ""
    return f"- {head.handle} {head.label}: {outcome}{size}{bound}{besides} `{head.line}`"


def _lines(runs: Runs, spans: Sequence[Span], besides: Besides) -> Iterator[str]:
    for start, end in spans:
        if end - start > 1:
            line = runs.ranges.get((start, end))
            if line is None:  # a range is always the same runs, so that its line is made once
                shown = [head for head in runs.heads[start:end] if besides(head) is not None]
                line = runs.ranges[start, end] = _range_line(shown) if shown else ""
            if line:
                yield line
        elif (told := besides(runs.heads[start])) is not None:
            yield run_line(runs.heads[start], told)


def _range_line(heads: Sequence[RunHead]) -> str:
    outcomes = Counter(f"{head.status} {head.error}".strip() for head in heads)
    told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common(4))
    names = list(dict.fromkeys(name for head in heads for name in head.bound))
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    bound = f"; bound {', '.join(names[:NAMES])}{more}" if names else ""
    return f"- {heads[0].handle}–{heads[-1].handle}: {told}{bound}"
