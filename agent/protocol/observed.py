"""What the host saw in the kernel: the person's cell runs, and the live names. Values only.

Knows neither how a host sees them nor what the model is told of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .cells import Output


@dataclass(frozen=True, slots=True)
class UserCellRun:
    """A run of one of the person's cells, between turns.

    `number`: 1, 2 … in the order of runs in this kernel. `cell`: the notebook's id for the cell,
    `count`: In [count], where a front end gives them. `outputs` are bounded by the host. `bound`,
    `changed` (in place), `deleted`, `reads`: names, sorted. `supersedes`: the number of the earlier
    run of the same cell. `hidden`: the person hides it from the model.
    """

    number: int
    cell: str | None
    count: int | None
    source: str
    status: Literal["ok", "error", "interrupted"]
    outputs: tuple[Output, ...] = ()
    bound: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    seconds: float = 0.0
    supersedes: int | None = None
    hidden: bool = False

    @property
    def label(self) -> str:
        """How the run is called: `run 7, In [12]`."""
        return f"run {self.number}" + (f", In [{self.count}]" if self.count is not None else "")


@dataclass(frozen=True, slots=True)
class Variable:
    """A live name in one bounded line. Equal `evidence`: no change of it was seen.

    Evidence is `identity:content`, or for a scalar its value alone, without a colon. The same
    identity with other content is the same object, changed in place.
    """

    name: str
    line: str
    evidence: str


Stale = tuple[tuple[str, tuple[str, ...]], ...]
"""Labels of runs, each with names it read that were bound, changed or deleted after it ran."""


def find_stale(runs: Sequence[UserCellRun], steps: Mapping[int, Iterable[str]]) -> Stale:
    """The runs whose results may no longer be what running them again would give.

    `runs`: all of them, in order; those that a later run of the same cell supersedes do not count.
    `steps`: after which run (by number) the agent's own steps changed which names.
    """
    superseded = {run.supersedes for run in runs}
    changed, found = set[str](), list[tuple[str, tuple[str, ...]]]()
    for run in reversed(runs):
        changed.update(steps.get(run.number, ()))
        names = tuple(name for name in run.reads if name in changed)
        if names and run.number not in superseded:
            found.insert(0, (run.label, names))
        changed.update(run.bound, run.changed, run.deleted)
    return tuple(found)
