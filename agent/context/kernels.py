"""Which runs and names belong to a kernel that is gone, in lines for the model. Pure.

Knows neither the window nor the record.
"""

from collections.abc import Container
from itertools import groupby

from ..conversation.runs import RunSummary, first_names
from ..conversation.validity import Validity
from ..text.tokens import estimate

NEW_KERNEL = "This is a new kernel: of the earlier variables only those listed here are left."
RUN_AGAIN = "gone, by the run that bound them last: run again what you need (`recall` has the code)"

MAX_GONE_NAMES, MAX_SPANS = 30, 4
"""Most names and most ranges of runs of kernels that are gone in a digest, the latest."""


def new_kernel_lines(
    holds: Validity, known: Container[str], live: Container[str], budget: int
) -> list[str]:
    """Lines for the first turn in a kernel: the runs whose `known` names are gone, in order.

    The latest that fit in the budget have a line each. The others are counted.
    """
    lost = [
        (head, mine)
        for head, names in _lost(holds, live)
        if (mine := [name for name in names if name in known])
    ]
    lines: list[str] = []
    for head, names in reversed(lost):
        line = f"  {head.handle}: {first_names(names)} `{head.line}`"
        budget -= estimate(line)
        if budget < 0:
            break
        lines.insert(0, line)
    left = len(lost) - len(lines)
    earlier = [f"  ({left:,} earlier run(s) are left out)"] if left else []
    return [NEW_KERNEL, *([RUN_AGAIN] if lost else []), *earlier, *lines]


def gone_lines(holds: Validity, live: Container[str]) -> list[str]:
    """A line of a digest on the kernels that are gone, if some of the runs are theirs."""
    spans = [list(span) for gone, span in groupby(holds.shown, holds.is_gone) if gone]
    if not spans:
        return []
    theirs = ", ".join(_span(span[0].handle, span[-1].handle) for span in spans[-MAX_SPANS:])
    lost = [f"{name} ({head.handle})" for head, names in _lost(holds, live) for name in names]
    more = f" and {len(lost) - MAX_GONE_NAMES:,} more" if len(lost) > MAX_GONE_NAMES else ""
    named = f" Gone with it: {', '.join(lost[-MAX_GONE_NAMES:])}{more}." if lost else ""
    return [
        f"({theirs}, up to turn {spans[-1][-1].turn}, ran in a kernel that is gone. In [n] begins"
        f" anew in each kernel.{named})"
    ]


def _lost(holds: Validity, live: Container[str]) -> list[tuple[RunSummary, list[str]]]:
    """Runs in kernels that are gone, each with the names that it bound last and that are gone."""
    last: dict[str, RunSummary] = {}
    for head in holds.shown:
        last.update(dict.fromkeys(head.bound, head))
        for name in head.deleted:
            last.pop(name, None)
    lost: dict[str, list[str]] = {}
    for name, head in last.items():
        if holds.is_gone(head) and name not in live:
            lost.setdefault(head.handle, []).append(name)
    return [(head, lost[head.handle]) for head in holds.shown if head.handle in lost]


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first}–{last}"
