"""The changes of the context that the model does not know: facts, instructions, cells, variables.

Pure: the difference of a snapshot and the known context becomes items to append. The model gets
nothing twice. Knows neither the shell that takes the snapshot nor the conversation.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Literal, NamedTuple

from ..config.project import Doc
from ..conversation.output_store import KeptRun
from ..conversation.state import KnownContext, ToldName
from ..frozen import frozen
from ..protocol.items import Message, message, text_part
from ..protocol.observed import Stale, UserCellRun, Variable
from ..protocol.verbatim_json import whole_text
from ..text.blocks import block
from .cells import HiddenRuns, tell_cells
from .variables import tell_names

ContextKind = Literal["instructions", "place", "cells", "names"]


@frozen
class Environment:
    """The environment. `packages`: versions of imported ones. `date`: YYYY-MM-DD.

    `notices`: sentences for the person about it. The model does not get them. `servers`: a line on
    each MCP server, by `server NAME`.
    """

    cwd: str
    date: str
    timezone: str
    python: str
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    notebook: str | None = None
    docs: tuple[Doc, ...] = ()
    policy: str = ""
    notices: tuple[str, ...] = ()
    servers: Mapping[str, str] = field(default_factory=dict[str, str])


@frozen
class Snapshot:
    """The host's observation when a turn begins. `kernel`: identifies the process.

    `names`: all live variables, in the order they came. `cells`: the person's runs that the model
    does not know. `last`: the number of the last run. `stale`: earlier runs, each with the names it
    read that were bound or changed later.
    """

    environment: Environment
    kernel: str = ""
    names: Mapping[str, Variable] = field(default_factory=dict[str, Variable])
    cells: tuple[UserCellRun, ...] = ()
    last: int = 0
    stale: Stale = ()


@frozen
class Budget:
    """Most tokens of items about cells, and about variables, in one turn."""

    cells: int = 6_000
    names: int = 2_000


class ContextItem(NamedTuple):
    """An item to append, its kind, and the handle of the run that it shows."""

    kind: ContextKind
    item: Message
    run: str | None = None


class Cells(NamedTuple):
    """The person's new runs: those that are kept, and a count of those that are hidden."""

    kept: Sequence[KeptRun] = ()
    hidden: HiddenRuns = HiddenRuns()


NO_CELLS = Cells()


def difference(
    told: KnownContext,
    now: Snapshot,
    budget: Budget,
    mentioned: frozenset[str] = frozenset(),
    cells: Cells = NO_CELLS,
    new_kernel: Sequence[str] = (),
) -> tuple[list[ContextItem], KnownContext]:
    """The items that are new since `told`, in fixed order, and the context known after them.

    `mentioned`: names in the prompt. They come first when not all variables fit. `cells`: the runs
    of `now`, as they were kept. `new_kernel`: lines on it, if the kernel is another one.
    """
    items, after = environment_difference(told, now.environment)
    known_stale = () if new_kernel else told.stale  # other kernels have runs of the same names
    stale = tuple((run, names) for run, names in now.stale if run not in known_stale)
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
    """The same for the environment alone. Facts in `later` wait for another time."""
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
        **environment.servers,
    }
    return {name: whole_text(fact) for name, fact in facts.items()}


def _digest(doc: Doc) -> str:
    return f"{hashlib.sha256(doc.text.encode()).hexdigest()[:16]}{'…' * doc.cut} {doc.path}"


def environment_item(facts: Mapping[str, str]) -> Message:
    """All facts of an environment in one item."""
    return message("user", text_part(_environment_text({}, facts)))


def _environment_text(told: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The facts that are new, one a line."""
    lines = [f"{key}: {value}" for key, value in now.items() if value != told.get(key, "")]
    lines += [f"{key}: is not there any more" for key in told if key not in now]
    return block("environment", "\n".join(lines))


def _docs_text(docs: tuple[Doc, ...]) -> str:
    if not docs:
        return block("project_instructions", "There are none any more.")
    parts = [
        f"# {doc.path}\n\n{doc.text.strip()}" + ("\n\n[cut off here]" if doc.cut else "")
        for doc in docs
    ]
    return block("project_instructions", "\n\n".join(parts))
