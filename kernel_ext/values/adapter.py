"""The questions that a library's adapter answers, and what it answers with. Knows no library."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from .introspect import at_home, exactly, type_name

ShowValue = Callable[[object], str]
"""One short, bounded, inert text for a value inside another; never raises."""
ReadingEntry = str | tuple[str, object]
"""A finished line, or a label and the live value that belongs behind it."""

FIRST_VALUES, MAX_LINE_CHARS = 6, 200
"""Values shown in a line, and its characters."""
MAX_LISTED = 20
"""Columns, variables or parameters that a description lists."""
FOREIGN = object()
"""Stands, in a comparison, for a value whose own code might run."""


class Reading(NamedTuple):
    """What was seen: one line, and further entries that cost nothing until they are asked for."""

    head: str
    entries: Iterator[ReadingEntry] = iter(())


class Origin(NamedTuple):
    """The library class nearest to a type. `exact`: it is the type itself, not a subclass of it.

    `title`: the library and its class, of a subclass its own name, too.
    """

    package: str
    name: str
    exact: bool
    title: str


@dataclass(frozen=True, slots=True)
class Column:
    """`at`: the value of a row, `part`: those of rows `i` to `j`, for comparisons; `nulls`: counts.

    They are None where reading might run foreign code, or takes too long.
    """

    label: object
    dtype: str
    at: Callable[[int], object] | None = None
    part: Callable[[int, int], Iterable[object]] | None = None
    nulls: Callable[[], int] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """`title` in words; `label(i)` and `column(i)` of one column, `row(i)` the label of a row."""

    title: str
    height: int
    width: int
    label: Callable[[int], object]
    column: Callable[[int], Column]
    row: Callable[[int], object] = int


class NoTable(Exception):
    """The value is no table, or none that is read here; its text is the rest of a sentence."""


class Refused(Exception):
    """A path that is not followed; its text is the rest of a sentence that names the path."""


class NoKey(Exception):
    """A key leads to nothing; its text is the rest of a sentence that says where it is not."""


def is_own(value: object, *packages: str) -> bool:
    """Whether it is of just such a package's own class."""
    kind = type(value)
    return type_name(kind)[0].partition(".")[0] in packages and at_home(kind)


def is_own_zone(zone: object) -> bool:
    """Whether a time zone is none, or of a library that is known; another runs its own code."""
    return zone is None or is_own(zone, "datetime", "zoneinfo", "pytz", "dateutil")


def first_texts(parts: Iterable[str], most: int = FIRST_VALUES) -> str:
    """The first of them, and a sign that there are more."""
    few = list(islice(parts, most + 1))
    return ", ".join(few[:most]) + (", …" if len(few) > most else "")


def shape_text(sides: Iterable[float]) -> str:
    """The sides as one says them; () without any."""
    return " × ".join(f"{side:,}" for side in sides) or "()"


def demand(met: bool, otherwise: str) -> None:
    """Raises Refused, with the way out, where a condition is not met."""
    if not met:
        raise Refused(f"{otherwise}; use run_cell.")


def only_column(
    title: str, height: int, column: Column, row: Callable[[int], object] = int
) -> Table:
    """A table of one column."""
    return Table(title, height, 1, lambda _: column.label, lambda _: column, row)


def plain_item(value: Any, key: object, name: str, plain: bool) -> object:
    """`value[key]`, where that is a view. Raises Refused where it is not `plain`."""
    demand(plain, f"subscripts a {name} by more than positions, slices or a name")
    return value[key]


def frame_item(value: Any, key: Any, name: str, single: Mapping[str, type]) -> object:
    """As `plain_item`, by a slice without a step, or the type of key that `single` has for it."""
    kind, whole = single.get(name), exactly(key, slice) and key.step is None
    return plain_item(value, key, name, kind is not None and (whole or exactly(key, kind)))


def _no_reading(value: object, source: Origin, show: ShowValue) -> Reading | None:
    return None


def _no_labels(value: object, name: str) -> Iterable[object]:
    return ()


def _no_item(value: object, key: object, name: str) -> object:
    return plain_item(value, key, name, False)


def _foreign(value: object) -> object:
    return FOREIGN


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What is known of the values of a library. An answer that is missing is the general one.

    All but `reading` and `fingerprint` are asked of a value of just the library's type, whose name
    they are given; those two of a subclass, too.
    """

    packages: tuple[str, ...]
    """The first parts of the names of its modules."""
    reading: Callable[[Any, Origin, ShowValue], Reading | None] = _no_reading
    """What it looks like; None if that is not known."""
    fingerprint: Callable[[Any, type], object] | None = None
    """Numbers and plain text that change as it does; the type is the one that is known."""
    tables: Mapping[str, Callable[[Any], Table]] = field(default_factory=dict[str, Any])
    """By a class's name: its rows and columns. Raises NoTable."""
    lazy: tuple[str, ...] = ()
    """Classes that stand for data which is not computed; `*` for all."""
    labels: Callable[[Any, str], Iterable[object]] = _no_labels
    """The names of its columns or fields."""
    attributes: Mapping[str, frozenset[str]] = field(default_factory=dict[str, Any])
    """By a class's name: attributes that are O(1), or O(columns), and copy no data."""
    attribute: Callable[[Any, str], object] = getattr
    """One of these. Raises Refused."""
    dotted: tuple[str, ...] = ()
    """Classes whose items are attributes, too."""
    item: Callable[[Any, Any, str], object] = _no_item
    """What a constant key or a slice leads to, without a copy of much. Raises Refused."""
    scalar: Callable[[Any], object] = _foreign
    """A single value for comparisons: None if it is missing, FOREIGN if its code might run."""
