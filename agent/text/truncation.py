"""The output of a cell run as parts of text, and how they share a budget. Knows no record."""

from collections.abc import Iterator, Sequence

from ..frozen import frozen
from ..protocol.cells import CellRun, DisplayOutput, ErrorOutput, Output, StreamOutput
from ..protocol.observed import UserCellRun
from .lines import MARK_TOKENS, Lines, Span, ends, overwritten, with_gaps
from .tokens import estimate, without_ansi
from .tracebacks import folded, kept

MIN_PART_TOKENS = 2 * MARK_TOKENS
"""Fewest tokens worth giving a part. If there are too many parts for that, they become one."""


@frozen
class OutputPart:
    """One output as text. `error`: it is a traceback, whose frames are kept whole."""

    text: str
    error: bool = False


def run_parts_of(run: CellRun | UserCellRun) -> list[OutputPart]:
    """A cell run as the model reads it: how it went, then each output in order."""
    head = [run.status]
    if isinstance(run, CellRun) and run.limit is not None:
        head.append(f"stopped at its time limit of {run.limit:g} s")
    if run.bound:
        head.append(f"bound: {', '.join(run.bound)}")
    if run.deleted:
        head.append(f"deleted: {', '.join(run.deleted)}")
    return [OutputPart(" · ".join(head)), *map(output_part, run.outputs)]


def output_part(output: Output) -> OutputPart:
    """An output, to be fitted among others."""
    return OutputPart(output_text(output), error=isinstance(output, ErrorOutput))


def output_text(output: Output) -> str:
    """An output as the model reads it."""
    match output:
        case StreamOutput():
            text = without_ansi(overwritten("", output.text))  # a progress bar is one line
            return f"{output.name}:\n{text.rstrip()}"
        case ErrorOutput():
            traceback = without_ansi("\n".join(folded(output.traceback)))
            return f"error:\n{traceback or f'{output.ename}: {output.evalue}'}"
        case DisplayOutput():
            from .displays.display_text import display_text

            return f"{'result' if output.result else 'display'}:\n{display_text(output.data)}"


def full_text(run: CellRun) -> str:
    """The full form of a run: how it went, its outputs, then its source.

    The source comes last, so that line numbers are the same with and without it.
    """
    return whole([*run_parts_of(run), OutputPart(f"source:\n{run.source}")])


def whole(pieces: Sequence[OutputPart]) -> str:
    """All parts joined: the text that line numbers refer to."""
    return "\n".join(piece.text for piece in pieces)


def fit(pieces: Sequence[OutputPart], limit: int, handle: str) -> str:
    """The parts in at most about `limit` tokens.

    Short parts are whole. Long parts have equal shares, a traceback as much as all the others.
    A mark names left-out lines by their numbers in the full form, kept under `handle`.
    """
    text = whole(pieces)
    if estimate(text) <= limit:
        return text
    regions = list(_regions(pieces))
    if len(regions) * MIN_PART_TOKENS > limit:
        regions = list(_merged(regions))
    costs = [estimate(text[region.start : region.end]) for region in regions]
    weights = [max(len(regions) - 1, 1) if region.error else 1 for region in regions]
    spans: list[Span] = []
    for region, cost, share in zip(regions, costs, fair_shares(costs, limit, weights), strict=True):
        spans += _told(text, region, share if share >= cost else share - MARK_TOKENS)
    return with_gaps(Lines(text), spans, handle)


@frozen
class _Region:
    """The span of a part in the full form, with the line end after it."""

    start: int
    end: int
    error: bool


def _regions(pieces: Sequence[OutputPart]) -> Iterator[_Region]:
    at = 0
    for number, piece in enumerate(pieces, 1):
        end = at + len(piece.text) + (number < len(pieces))
        yield _Region(at, end, piece.error)
        at = end


def _merged(regions: Sequence[_Region]) -> Iterator[_Region]:
    """All regions as one, except a traceback at the end."""
    *before, last = regions
    if before and last.error:
        yield _Region(0, before[-1].end, error=False)
        yield last
    else:
        yield _Region(0, last.end, error=False)


def fair_shares(
    costs: Sequence[int], limit: int, weights: Sequence[int] | None = None
) -> list[int]:
    """`limit` in fair shares, by weight. Tokens that one part does not need go to the others."""
    shares = [0] * len(costs)
    weights = weights or [1] * len(costs)
    weight = sum(weights)
    for at in sorted(range(len(costs)), key=lambda at: costs[at] / weights[at]):
        shares[at] = max(min(costs[at], limit * weights[at] // weight), 0)
        limit -= shares[at]
        weight -= weights[at]
    return shares


def _told(text: str, region: _Region, limit: int) -> list[Span]:
    if not region.error:
        return ends(text, region.start, region.end, limit)
    spans = kept(text[region.start : region.end], limit)
    return [(region.start + start, region.start + end) for start, end in spans]
