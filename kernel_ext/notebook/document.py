"""The interface by which code reads and edits the open notebook. Knows no front end."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import Enum
from typing import Any, Literal, Protocol

from ...agent.frozen import frozen

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
    """The place before all cells, or after all cells."""

    START = "start"
    END = "end"


@frozen
class About:
    """Facts about the whole notebook. `dirty`: it has changes that are not saved."""

    path: str
    dirty: bool
    cells: int
    collaborative: bool
    read_only: bool


@frozen
class LiveCell:
    """A cell as the user sees it, saved or not, without its outputs.

    `kind`: also a word that no front end knows, from a file. `running`: it runs or waits to run, as
    far as the front end knows. `shared`: the id that it has together with others, so that `id` is
    made up.
    """

    id: str
    kind: str
    source: str
    execution_count: int | None
    metadata: Mapping[str, Any]
    running: bool
    shared: str = ""


@frozen
class NewCell:
    """A cell to insert. Only a code cell has outputs, in nbformat's form, and a count.

    Outputs are trusted: they must come from this kernel, never from a model's text.
    """

    kind: CellKind
    source: str
    outputs: Sequence[Mapping[str, Any]] = ()
    execution_count: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


class DocumentError(Exception):
    """The document did not do it. `present`: the cell's source, when that is the cause.

    After "no answer" it may still be done, or has been done: read before you ask again.
    """

    def __init__(self, cause: Cause, message: str, present: str | None = None) -> None:
        super().__init__(message)
        self.cause: Cause = cause
        self.present = present


class Document(Protocol):
    """The open notebook. Each call ends in bounded time, or raises DocumentError.

    Ids name the cells. They stay the same while the user inserts, moves and edits. An edit is one
    step of the user's undo history, except of outputs and metadata, which have none.
    """

    async def describe(self) -> About:
        """Facts about the whole notebook."""
        ...

    async def cells(self) -> tuple[LiveCell, ...]:
        """All cells in order."""
        ...

    async def outputs(self, cell: str) -> list[dict[str, Any]]:
        """A cell's outputs in nbformat's form. Text cells have none."""
        ...

    async def insert(self, after: str | Edge, cells: Sequence[NewCell]) -> tuple[str, ...]:
        """Insert cells, in order, as one step. Returns their ids."""
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
        """Replace the outputs of a code cell that does not run, as if it had been run."""
        ...

    async def set_metadata(self, cell: str, key: str, value: object) -> None:
        """Set one entry of a cell's metadata; None removes it."""
        ...

    async def save(self) -> None:
        """Save the notebook, as the user would. Nothing else here saves it."""
        ...
