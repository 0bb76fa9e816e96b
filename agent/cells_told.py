"""What the model is told of the cells that the person ran. Pure.

The latest are told whole, within a budget; what is before them becomes a line each, then a count.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from .items import Message, message, text_part
from .pieces import output_text
from .seen import CellSeen, Stale
from .tokens import estimate
from .tools.run_cell import figures

Fit = Callable[[str, int], str]
"""A text in at most about so many tokens; what is cut may be kept elsewhere, and say where."""

SOURCE, OUTPUT = 1_000, 1_000
"""Most tokens of one cell's source, and of its outputs."""

FIGURES = 2
"""Figures that are sent: the latest. An image costs about as much as a page of text."""

_LINE = 100


def tell_cells(runs: Sequence[CellSeen], stale: Stale, budget: int, fit: Fit) -> Message:
    """One message in at most about `budget` tokens of text, with the latest figures."""
    shown = [run for run in runs if not run.hidden]
    whole, first = list[str](), len(shown)
    for run in reversed(shown):
        text = _whole(run, fit)
        budget -= estimate(text)
        if budget < 0:
            break
        whole.insert(0, text)
        first -= 1
    lines = ["<cells>", "What the person ran since, the latest last."]
    lines += _briefly(shown[:first], max(budget, 0) + 200)
    lines += whole
    if hidden := len(runs) - len(shown):
        lines.append(f"{hidden} run(s) hidden from you by the person.")
    lines += [f"stale: {run} read {', '.join(names)}, changed since" for run, names in stale]
    images, _ = figures((output for run in shown for output in run.outputs), FIGURES)
    return message("user", text_part("\n".join([*lines, "</cells>"])), *images)


def _briefly(runs: Sequence[CellSeen], budget: int) -> Iterator[str]:
    lines = list[str]()
    for run in reversed(runs):
        line = f"- {run.label}, {run.status}: {_first_line(run.source)}{_names(run, '; ')}"
        budget -= estimate(line)
        if budget < 0:
            break
        lines.insert(0, line)
    if left := len(runs) - len(lines):
        yield f"{left:,} earlier run(s) are left out."
    yield from lines


def _whole(run: CellSeen, fit: Fit) -> str:
    again = f", again: run {run.supersedes} is superseded" if run.supersedes else ""
    source = fit(run.source.strip("\n"), SOURCE)
    fence = _fence(source)
    parts = [f"## {run.label}: {run.status}{again}", f"{fence}python\n{source}\n{fence}"]
    if text := fit("\n".join(map(output_text, run.outputs)), OUTPUT):
        fence = _fence(text)
        parts.append(f"{fence}\n{text}\n{fence}")
    return "\n".join([*parts, *([names] if (names := _names(run, "")) else [])])


def _names(run: CellSeen, before: str) -> str:
    groups = (("bound", run.bound), ("changed", run.changed), ("deleted", run.deleted))
    told = "; ".join(f"{what} {', '.join(names[:20])}" for what, names in groups if names)
    return f"{before}{told}" if told else ""


def _first_line(source: str) -> str:
    line = next((line for line in source.splitlines() if line.strip()), "")
    return line if len(line) <= _LINE else f"{line[:_LINE]}…"


def _fence(text: str) -> str:
    """A fence that the text does not hold."""
    return "`" * max(3, 1 + max(map(len, re.findall(r"`{3,}", text)), default=0))
