"""The one parser of texts that name cells, runs and turns. Knows none of these.

Every text is a reference. One of no other form may be a notebook cell's id, or its beginning.
"""

import re
from collections.abc import Callable

from ..frozen import frozen

CELL_ID = 4
"""Fewest characters that name a notebook cell by its id."""

HANDLE = re.compile(r"out-\d+")


@frozen
class HandleReference:
    """`out-7`: the run or text with that handle."""

    handle: str


@frozen
class HandleRange:
    """`out-7–out-20`: the runs with these handles, both ends included."""

    first: int
    last: int


@frozen
class TurnReference:
    """`turn 3`, or its label in full: `turn 3, In [12]`."""

    turn: int


@frozen
class RunReference:
    """`run 7`, or its label in full: `run 7, In [12]`. Numbers count the person's runs."""

    number: int
    count: int | None


@frozen
class CountReference:
    """`In [12]`, or `12` alone (`bare`). `12` may also be the start of a cell's id."""

    count: int
    bare: bool


@frozen
class CellPositions:
    """`#3`, `#3-#7`: positions in the notebook, from 1, both ends included."""

    first: int
    last: int


@frozen
class CellIdStart:
    """The id of a notebook's cell, or the start of one. If it is too short, it names nothing."""

    start: str

    def names(self, cell: str | None) -> bool:
        """True if the id begins with these characters."""
        return cell is not None and len(self.start) >= CELL_ID and cell.startswith(self.start)


Reference = (
    HandleReference
    | HandleRange
    | TurnReference
    | RunReference
    | CountReference
    | CellPositions
    | CellIdStart
)

_N = r"(\d{1,18})"
_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Reference]], ...] = (
    (HANDLE, lambda it: HandleReference(it[0])),
    (
        re.compile(rf"(?=.*out-)(?:out-)?{_N} ?(?:–|—|-|\.\.|:|to) ?(?:out-)?{_N}", re.IGNORECASE),
        lambda it: HandleRange(int(it[1]), int(it[2])),
    ),
    (
        re.compile(rf"turn[ -]?{_N}(?:, In \[\d+\])?", re.IGNORECASE),
        lambda it: TurnReference(int(it[1])),
    ),
    (
        re.compile(rf"run {_N}(?:, In \[{_N}\])?", re.IGNORECASE),
        lambda it: RunReference(int(it[1]), int(it[2]) if it[2] else None),
    ),
    (
        re.compile(rf"(in\s*)?\[?{_N}\]?", re.IGNORECASE),
        lambda it: CountReference(int(it[2]), bare=not it[1]),
    ),
    (
        re.compile(rf"#{_N}(?: ?[-–] ?#?{_N})?"),
        lambda it: CellPositions(int(it[1]), int(it[2] or it[1])),
    ),
)


def parse_reference(words: str) -> Reference:
    """The reference in a text. It does not check that there is such a thing."""
    words = words.strip()
    for form, reference in _FORMS:
        if match := form.fullmatch(words):
            return reference(match)
    return CellIdStart(words)


def no_cell(words: str) -> str:
    """The sentence for a text that names no cell."""
    return f"There is no cell {words.strip()!r}."
