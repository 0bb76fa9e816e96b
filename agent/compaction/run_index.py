"""The index of cell runs: a line for each late run, and for older ones a line for 10, 100, … runs.

A range always has the same runs. So folding old runs changes no newer line, and the line of a range
changes only when one of its runs is superseded.
Pure. Knows neither the outputs of runs nor where they are kept.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from ..conversation.runs import RunLog, RunSummary, Together, first_names
from ..frozen import frozen
from ..text.tokens import estimate

KEEPS = (1_000, 500, 200, 100, 50, 20, 10, 5, 2, 1)
"""Least lines of each level. The first of these numbers whose lines fit is taken."""

MAX_RANGE_NAMES, MAX_RANGE_OUTCOMES = 6, 4
"""Most names and most outcomes of one range."""

MAX_RANGE_TOPICS, MAX_RANGE_HEADINGS = 2, 3
"""Most prompts and most headings of one range."""

MAX_TOPIC_CHARS = 60
"""Most characters of each of them."""

LEAST_LINE_TOKENS = 12
"""Least tokens of a run's line. So lines that can never fit are not made."""

LARGE_RUN_TOKENS = 100
"""Tokens above which a run's line names its size."""

BASE = 10

RunSpan = tuple[int, int]
"""Where a sequence of runs starts and ends, counted from 0."""

Besides = Callable[[RunSummary], str | None]
"""An addition to the line of a run, or None when the person hides the run."""


@frozen
class _Known:
    runs: RunLog
    besides: Besides
    topics: Mapping[int, str]


_NO_TOPICS: Mapping[int, str] = MappingProxyType({})


def index_lines(
    runs: RunLog, upto: int, budget: int, besides: Besides, topics: Mapping[int, str] = _NO_TOPICS
) -> list[str]:
    """Lines for the first `upto` runs, in at most about `budget` tokens.

    `topics`: the first line of each turn's prompt.
    """
    known = _Known(runs, besides, topics)
    for keep in KEEPS:
        if min(keep, upto) * LEAST_LINE_TOKENS > budget and keep > 1:
            continue
        lines = _fitting(known, ranges(upto, keep), budget)
        if lines is not None:
            return lines
    return _coarser(known, ranges(upto, KEEPS[-1]), budget)


def _coarser(known: _Known, spans: list[RunSpan], budget: int) -> list[str]:
    """Lines for a very small window: the oldest spans become one, and more until all fit."""
    while len(spans) > 1:
        half = len(spans) // 2 or 1
        spans = [(0, spans[half][1]), *spans[half + 1 :]]
        lines = _fitting(known, spans, budget)
        if lines is not None:
            return lines
    return list(_newest_first(known, spans))


def _fitting(known: _Known, spans: list[RunSpan], budget: int) -> list[str] | None:
    """Lines for these spans, if they fit. It stops at the first that does not."""
    lines = list[str]()
    for line in _newest_first(known, spans):
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
    bound = f"; bound {first_names(head.bound)}" if head.bound else ""
    size = f", {head.tokens:,} tokens" if head.tokens > LARGE_RUN_TOKENS else ""
    return f"- {head.handle} {head.label}: {outcome}{size}{bound}{besides} `{head.line}`"


def _newest_first(known: _Known, spans: Sequence[RunSpan]) -> Iterator[str]:
    for start, end in reversed(spans):
        if end - start > 1:
            if together := _together(known, start, end):
                yield _range_line(together)
        elif (told := known.besides(known.runs.heads[start])) is not None:
            yield run_line(known.runs.heads[start], told)


def _together(known: _Known, start: int, end: int) -> Together | None:
    """A summary of these runs together, or None when the person hides them all.

    A range of 10, 100, … always has the same runs, so its summary is kept.
    """
    size, runs = BASE, known.runs
    while size * BASE <= end - start:
        size *= BASE
    whole = end - start == size and not start % size
    if whole and (start, end) in runs.together:
        return runs.together[start, end]
    if end - start <= BASE:
        shown = [head for head in runs.heads[start:end] if known.besides(head) is not None]
        parts = [_alone(known, head) for head in shown]
    else:
        size = size // BASE if whole else size
        pieces = ((at, min(at + size, end)) for at in range(start, end, size))
        parts = [it for piece in pieces if (it := _together(known, *piece))]
    together = _joined(parts) if parts else None
    if whole:
        runs.together[start, end] = together
    return together


def _alone(known: _Known, head: RunSummary) -> Together:
    outcome = f"{head.status} {head.error}".strip()
    heading = head.line.lstrip("#% ") if head.line.startswith("#") else ""
    return Together(
        first=head.handle,
        last=head.handle,
        outcomes=((outcome, 1),),
        bound=head.bound[:MAX_RANGE_NAMES],
        more=False,
        superseded=int(known.runs.superseded_by(head.handle) is not None),
        turns=(head.turn, head.turn),
        topics=tuple(filter(None, [_short(known.topics.get(head.turn, ""))])),
        headings=tuple(filter(None, [_short(heading)])),
    )


def _short(text: str) -> str:
    return text if len(text) <= MAX_TOPIC_CHARS else f"{text[:MAX_TOPIC_CHARS]}…"


def _joined(parts: Sequence[Together]) -> Together:
    outcomes = Counter[str]()
    for part in parts:
        outcomes.update(dict(part.outcomes))
    names = list(dict.fromkeys(name for part in parts for name in part.bound))
    more = len(names) > MAX_RANGE_NAMES or any(part.more for part in parts)
    return Together(
        first=parts[0].first,
        last=parts[-1].last,
        outcomes=tuple(outcomes.most_common()),
        bound=tuple(names[:MAX_RANGE_NAMES]),
        more=more,
        superseded=sum(part.superseded for part in parts),
        turns=(min(part.turns[0] for part in parts), max(part.turns[1] for part in parts)),
        topics=_spread([topic for part in parts for topic in part.topics], MAX_RANGE_TOPICS),
        headings=_spread([it for part in parts for it in part.headings], MAX_RANGE_HEADINGS),
    )


def _spread(texts: Sequence[str], most: int) -> tuple[str, ...]:
    """At most so many different ones, from the beginning, from between and from the end."""
    different = list(dict.fromkeys(texts))
    step = max(1.0, (len(different) - 1) / (most - 1))
    return tuple(different[round(at * step)] for at in range(min(most, len(different))))


def _range_line(runs: Together) -> str:
    told = [f"{count} {outcome}" for outcome, count in runs.outcomes[:MAX_RANGE_OUTCOMES]]
    told += [f"{runs.superseded} superseded"] if runs.superseded else []
    first, last = runs.turns
    turns = f"turn {first}" if first == last else f"turns {first}–{last}"
    topics = f" ({'; '.join(runs.topics)})" if runs.topics else ""
    names = ", ".join((*runs.bound, *(["…"] if runs.more else [])))
    parts = (
        f"- {runs.first}–{runs.last}: {', '.join(told)}",
        f"bound {names}" if names else "",
        f"{turns}{topics}" if first else "",
        *(f"# {heading}" for heading in runs.headings),
    )
    return "; ".join(filter(None, parts))
