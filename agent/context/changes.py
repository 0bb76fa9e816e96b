"""What the model has not been told yet of where we are: facts, instructions, cells, names.

Pure: a snapshot, what was told, and their difference as items to append. Nothing that was told is
told again. Knows neither the shell that takes the snapshot nor the conversation it goes into.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from ..config.project import Doc
from ..conversation.output_store import KeptRun
from ..conversation.state import KnownContext, ToldName
from ..protocol.items import Message, message, text_part
from ..protocol.observed import Stale, UserCellRun, Variable
from .cells import HiddenRuns, tell_cells
from .variables import tell_names

ContextKind = Literal["instructions", "place", "cells", "names"]


@dataclass(frozen=True, slots=True)
class Environment:
    """Where we are. `packages`: versions of those already imported. `date`: YYYY-MM-DD."""

    cwd: str
    date: str
    timezone: str
    python: str
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    notebook: str | None = None
    docs: tuple[Doc, ...] = ()
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a host sees when a turn begins. `kernel`: which process.

    `names`: all that are live, in the order they came. `cells`: the person's runs since the last
    that was told; `last`: the number of the last there was. `stale`: earlier runs, each with the
    names it read that were bound or changed after it.
    """

    environment: Environment
    kernel: str = ""
    names: Mapping[str, Variable] = field(default_factory=dict[str, Variable])
    cells: tuple[UserCellRun, ...] = ()
    last: int = 0
    stale: Stale = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """Most tokens of what is told of cells, and of names, at once."""

    cells: int = 6_000
    names: int = 2_000


class ContextItem(NamedTuple):
    """An item to append, what it is about, and the handle of the run it tells."""

    kind: ContextKind
    item: Message
    run: str | None = None


class Cells(NamedTuple):
    """The person's runs to tell of: those that are kept, and what is hidden."""

    kept: Sequence[KeptRun] = ()
    hidden: HiddenRuns = HiddenRuns()


NO_CELLS = Cells()


def difference(
    told: KnownContext,
    now: Snapshot,
    budget: Budget,
    mentioned: frozenset[str] = frozenset(),
    cells: Cells = NO_CELLS,
) -> tuple[list[ContextItem], KnownContext]:
    """What is new since `told`, in fixed order, and what is known after it.

    `mentioned`: names that the person speaks of; they are told before others when not all fit.
    `cells`: those of `now`, as they were kept.
    """
    items, after = environment_difference(told, now.environment)
    stale = tuple((run, names) for run, names in now.stale if run not in told.stale)
    new_kernel = bool(told.kernel) and told.kernel != now.kernel
    for told_cells in tell_cells(cells.kept, cells.hidden, stale, budget.cells):
        items.append(ContextItem("cells", *told_cells))
    known: Mapping[str, ToldName] = {} if new_kernel else told.names
    if names := tell_names(known, now.names, budget.names, mentioned, new_kernel):
        items.append(ContextItem("names", message("user", text_part(names))))
    stale_runs = tuple(run for run, _ in now.stale)
    return items, replace(after, kernel=now.kernel, names=now.names, run=now.last, stale=stale_runs)


def environment_difference(
    told: KnownContext, environment: Environment, later: frozenset[str] = frozenset()
) -> tuple[list[ContextItem], KnownContext]:
    """What is new of the place alone. Facts in `later` are left for another time."""
    items: list[ContextItem] = []
    docs, facts = tuple(map(_digest, environment.docs)), _facts(environment)
    facts |= {name: told.facts[name] for name in later if name in told.facts}
    if docs != told.docs:
        items.append(
            ContextItem("instructions", message("user", text_part(_docs_text(environment.docs))))
        )
    if facts != told.facts:
        text = _environment_text(told.facts, facts)
        items.append(ContextItem("place", message("user", text_part(text))))
    return items, replace(told, facts=facts, docs=docs)


def _facts(environment: Environment) -> dict[str, str]:
    facts = {
        "cwd": environment.cwd,
        "date": environment.date,
        "timezone": environment.timezone,
        "python": environment.python,
        "notebook": environment.notebook or "",
        "imported": ", ".join(f"{n} {v}" for n, v in sorted(environment.packages.items())),
        "policy": environment.policy,
    }
    return facts


def _digest(doc: Doc) -> str:
    return f"{hashlib.sha256(doc.text.encode()).hexdigest()[:16]}{'…' * doc.cut} {doc.path}"


def environment_item(facts: Mapping[str, str]) -> Message:
    """All facts of a place at once."""
    return message("user", text_part(_environment_text({}, facts)))


def _environment_text(told: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The facts that are new, one a line."""
    lines = [f"{key}: {value}" for key, value in now.items() if value != told.get(key, "")]
    return "\n".join(["<environment>", *lines, "</environment>"])


def _docs_text(docs: tuple[Doc, ...]) -> str:
    if not docs:
        return "<project_instructions>\nThere are none any more.\n</project_instructions>"
    parts = [
        f"# {doc.path}\n\n{doc.text.strip()}" + ("\n\n[cut off here]" if doc.cut else "")
        for doc in docs
    ]
    return "\n".join(
        ["<project_instructions>", "\n\n".join(parts), "</project_instructions>"],
    )
