"""The index of cell runs: a line for each late run, and for older ones a line for 10, 100, … runs.

A range always has the same runs and the same line. So folding old runs changes no newer line.
Pure. Knows neither the outputs of runs nor where they are kept.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ..conversation.runs import RunLog, RunSummary, Together
from ..text.tokens import estimate

KEEPS = (100, 50, 20, 10, 5, 2, 1)
"""Least lines of each level. The first of these numbers whose lines fit is taken."""

MAX_RANGE_NAMES, MAX_RANGE_OUTCOMES = 6, 4
"""Most names and most outcomes of one range."""

LARGE_RUN_TOKENS = 100
"""Tokens above which a run's line names its size."""

BASE = 10

RunSpan = tuple[int, int]
"""Where a sequence of runs starts and ends, counted from 0."""

Besides = Callable[[RunSummary], str | None]
"""An addition to the line of a run, or None when the person hides the run."""


def index_lines(runs: RunLog, upto: int, budget: int, besides: Besides) -> list[str]:
    """Lines for the first `upto` runs, in at most about `budget` tokens."""
    for keep in KEEPS:
        lines = _fitting(runs, ranges(upto, keep), budget, besides)
        if lines is not None:
            return lines
    return _coarser(runs, ranges(upto, KEEPS[-1]), budget, besides)


def _coarser(runs: RunLog, spans: list[RunSpan], budget: int, besides: Besides) -> list[str]:
    """Lines for a very small window: the oldest spans become one, and more until all fit."""
    while len(spans) > 1:
        half = len(spans) // 2 or 1
        spans = [(0, spans[half][1]), *spans[half + 1 :]]
        lines = _fitting(runs, spans, budget, besides)
        if lines is not None:
            return lines
    return list(_newest_first(runs, spans, besides))


def _fitting(runs: RunLog, spans: list[RunSpan], budget: int, besides: Besides) -> list[str] | None:
    """Lines for these spans, if they fit. It stops at the first that does not."""
    lines = list[str]()
    for line in _newest_first(runs, spans, besides):
        budget -= estimate(line)
        if budget < 0:
            return None
        lines.append(line)
    return lines[::-1]


def ranges(upto: int, keep: int) -> list[RunSpan]:
    """`range(upto)` as spans of 1, 10, 100 … numbers. Each starts at a multiple of its length.

    From the end there are `keep` to `keep + 9` spans of each length. The longest spans take the
    rest.
    """
    found: list[RunSpan] = []
    end, size = upto, 1
    while end:
        start = max(0, end // size - keep) // BASE * BASE * size
        found += [(at, min(at + size, end)) for at in reversed(range(start, end, size))]
        end, size = start, size * BASE
    return found[::-1]


def run_line(head: RunSummary, besides: str = "") -> str:
    """The line of one run."""
    outcome = f"{head.status} {head.error}".strip()
    bound = f"; bound {', '.join(head.bound)}" if head.bound else ""
    size = f", {head.tokens:,} tokens" if head.tokens > LARGE_RUN_TOKENS else ""
    return f"- {head.handle} {head.label}: {outcome}{size}{bound}{besides} `{head.line}`"


def _newest_first(runs: RunLog, spans: Sequence[RunSpan], besides: Besides) -> Iterator[str]:
    for start, end in reversed(spans):
        if end - start > 1:
            if together := _together(runs, start, end, besides):
                yield _range_line(together)
        elif (told := besides(runs.heads[start])) is not None:
            yield run_line(runs.heads[start], told)


def _together(runs: RunLog, start: int, end: int, besides: Besides) -> Together | None:
    """A summary of these runs together, or None when the person hides them all.

    A range of 10, 100, … always has the same runs, so its summary is made once.
    """
    size = BASE
    while size * BASE <= end - start:
        size *= BASE
    whole = end - start == size and not start % size
    if whole and (start, end) in runs.together:
        return runs.together[start, end]
    if end - start <= BASE:
        shown = [head for head in runs.heads[start:end] if besides(head) is not None]
        parts = [_alone(head) for head in shown]
    else:
        size = size // BASE if whole else size
        pieces = ((at, min(at + size, end)) for at in range(start, end, size))
        parts = [it for piece in pieces if (it := _together(runs, *piece, besides))]
    together = _joined(parts) if parts else None
    if whole:
        runs.together[start, end] = together
    return together


def _alone(head: RunSummary) -> Together:
    outcome = f"{head.status} {head.error}".strip()
    return Together(head.handle, head.handle, ((outcome, 1),), head.bound[:MAX_RANGE_NAMES], False)


def _joined(parts: Sequence[Together]) -> Together:
    outcomes = Counter[str]()
    for part in parts:
        outcomes.update(dict(part.outcomes))
    names = list(dict.fromkeys(name for part in parts for name in part.bound))
    more = len(names) > MAX_RANGE_NAMES or any(part.more for part in parts)
    counted = tuple(outcomes.most_common())
    return Together(parts[0].first, parts[-1].last, counted, tuple(names[:MAX_RANGE_NAMES]), more)


def _range_line(runs: Together) -> str:
    told = ", ".join(f"{count} {outcome}" for outcome, count in runs.outcomes[:MAX_RANGE_OUTCOMES])
    names = ", ".join((*runs.bound, *(["…"] if runs.more else [])))
    bound = f"; bound {names}" if names else ""
    return f"- {runs.first}–{runs.last}: {told}{bound}"
