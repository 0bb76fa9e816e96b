"""The open notebook, as code reads and edits it. Knows no front end, and no way to reach one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol

CellKind = Literal["code", "markdown", "raw"]
Cause = Literal[
    "conflict",
    "no cell",
    "running",
    "read only",
    "too large",
    "bad request",
    "no answer",
    "failed",
]


class Edge(Enum):
    """A place among the cells that is after none, or after all of them."""

    START = "start"
    END = "end"


@dataclass(frozen=True, slots=True)
class About:
    """The notebook as a whole. `dirty`: it has changes that are not saved."""

    path: str
    dirty: bool
    cells: int
    collaborative: bool
    read_only: bool


@dataclass(frozen=True, slots=True)
class LiveCell:
    """A cell as the person sees it, saved or not, without its outputs.

    `running`: it runs or waits to run, as far as the front end tells.
    """

    id: str
    kind: CellKind
    source: str
    execution_count: int | None
    metadata: Mapping[str, Any]
    running: bool


@dataclass(frozen=True, slots=True)
class NewCell:
    """A cell to be inserted. Outputs, as nbformat has them, and a count are for code alone.

    Outputs are trusted: they must be what this kernel put out, never what a model wrote.
    """

    kind: CellKind
    source: str
    outputs: Sequence[Mapping[str, Any]] = ()
    execution_count: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


class DocumentError(Exception):
    """What was asked was not done. `present`: the cell's source, when that is the cause.

    After "no answer" it may have been done all the same, or may be yet: read before you ask again.
    """

    def __init__(self, cause: Cause, message: str, present: str | None = None) -> None:
        super().__init__(message)
        self.cause: Cause = cause
        self.present = present


class Document(Protocol):
    """The open notebook. Each call ends in bounded time, or raises DocumentError.

    Cells are named by their ids, which stay while the person inserts, moves and edits. An edit is
    one step of the person's undo history, except of outputs and metadata, which have none.
    """

    async def describe(self) -> About:
        """The notebook as a whole."""
        ...

    async def cells(self) -> tuple[LiveCell, ...]:
        """All cells in order."""
        ...

    async def outputs(self, cell: str) -> list[dict[str, Any]]:
        """A cell's outputs as nbformat has them; none for text."""
        ...

    async def insert(self, after: str | Edge, cells: Sequence[NewCell]) -> tuple[str, ...]:
        """Insert cells, in order, as one step; their ids."""
        ...

    async def replace(self, cell: str, source: str, expect: str) -> None:
        """Give a cell another source if it still is `expect`."""
        ...

    async def delete(self, cell: str, expect: str) -> None:
        """Delete a cell if its source still is `expect` and it does not run."""
        ...

    async def move(self, cell: str, after: str | Edge) -> None:
        """Move a cell that does not run."""
        ...

    async def set_outputs(
        self, cell: str, outputs: Sequence[Mapping[str, Any]], execution_count: int | None
    ) -> None:
        """Replace what a code cell that does not run shows, as if it had been run."""
        ...

    async def set_metadata(self, cell: str, key: str, value: object) -> None:
        """Set one entry of a cell's metadata; None removes it."""
        ...

    async def save(self) -> None:
        """Save the notebook, as the person would. Nothing else here does."""
        ...
