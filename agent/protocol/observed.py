"""The host's observations of the kernel: the person's cell runs, and variables. Values only.

Knows neither how a host observes them nor how the model learns of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from ..frozen import frozen
from .cells import Output


@frozen
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
        """The name of the run for people and model: `run 7, In [12]`."""
        return f"run {self.number}" + (f", In [{self.count}]" if self.count is not None else "")


@frozen
class Variable:
    """A live variable in one bounded line. Equal `evidence` means that no change was seen.

    Evidence is `identity:content`, or for a scalar its value alone, without a colon. The same
    identity with other content is the same object, changed in place.
    """

    name: str
    line: str
    evidence: str


Stale = tuple[tuple[str, tuple[str, ...]], ...]
"""Labels of runs, each with the names it read that were bound, changed or deleted later."""


def find_stale(runs: Sequence[UserCellRun], steps: Mapping[int, Iterable[str]]) -> Stale:
    """The runs whose results may be out of date, because names they read changed later.

    `runs`: all of them, in order. Those that a later run of the same cell supersedes do not count.
    `steps`: by the number of a run, the names that the agent's own steps changed after it.
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
