"""The interface of a library's adapter, and the types of its answers. Knows no library."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from itertools import islice
from typing import Any, NamedTuple

from ...agent.frozen import frozen
from .introspect import at_home, exactly, type_name

ShowValue = Callable[[object], str]
"""Gives one short, bounded text for a value inside another. Never raises."""
ReadingEntry = str | tuple[str, object]
"""A finished line, or a label and the live value to show after it."""

FIRST_VALUES, MAX_LINE_CHARS = 6, 200
"""Values shown in a line, and characters of a line, at most."""
MAX_LISTED = 20
"""Columns, variables or parameters that a description lists, at most."""
FOREIGN = object()
"""Replaces, in a comparison, a value whose own code might run."""


class Reading(NamedTuple):
    """A value in words: one line, and further entries that are made only when they are read."""

    head: str
    entries: Iterator[ReadingEntry] = iter(())


class Origin(NamedTuple):
    """The nearest library class of a type. `exact`: the type is that class, not a subclass.

    `title`: the library and its class. For a subclass, also its own name.
    """

    package: str
    name: str
    exact: bool
    title: str


@frozen
class Column:
    """A column. `at(row)` gives a value, `part(i, j)` the values of rows to compare.

    `nulls()` counts missing values. Each is None if reading might run foreign code or is too slow.
    """

    label: object
    dtype: str
    at: Callable[[int], object] | None = None
    part: Callable[[int, int], Iterable[object]] | None = None
    nulls: Callable[[], int] | None = None


@frozen
class Table:
    """A table. `label(i)` and `column(i)` give a column, `row(i)` gives the label of a row."""

    title: str
    height: int
    width: int
    label: Callable[[int], object]
    column: Callable[[int], Column]
    row: Callable[[int], object] = int


class NoTable(Exception):
    """The value is no table, or none that we read. The text is the rest of a sentence."""


class Refused(Exception):
    """A path is not followed. The text is the rest of a sentence that names the path."""


class NoKey(Exception):
    """A key is not found. The text is the rest of a sentence that says where."""


def is_own(value: object, *packages: str) -> bool:
    """Whether its type is one of these packages' own classes."""
    kind = type(value)
    return type_name(kind)[0].partition(".")[0] in packages and at_home(kind)


def is_own_zone(zone: object) -> bool:
    """Whether a time zone is None or of a known library. Any other would run its own code."""
    return zone is None or is_own(zone, "datetime", "zoneinfo", "pytz", "dateutil")


def first_texts(parts: Iterable[str], most: int = FIRST_VALUES) -> str:
    """The first texts, and a sign if there are more."""
    few = list(islice(parts, most + 1))
    return ", ".join(few[:most]) + (", …" if len(few) > most else "")


def shape_text(sides: Iterable[float]) -> str:
    """The shape as in `3 × 4`. () if there are no sides."""
    return " × ".join(f"{side:,}" for side in sides) or "()"


def demand(met: bool, otherwise: str) -> None:
    """Raises Refused, with a hint, if a condition is not met."""
    if not met:
        raise Refused(f"{otherwise}; use run_cell.")


def only_column(
    title: str, height: int, column: Column, row: Callable[[int], object] = int
) -> Table:
    """A table of one column."""
    return Table(title, height, 1, lambda _: column.label, lambda _: column, row)


def plain_item(value: Any, key: object, name: str, plain: bool) -> object:
    """`value[key]`, if the caller says that it is `plain`. Else raises Refused."""
    demand(plain, f"subscripts a {name} by more than positions, slices or a name")
    return value[key]


def frame_item(value: Any, key: Any, name: str, single: Mapping[str, type]) -> object:
    """Like `plain_item`, by a slice without a step, or by a key of the type that `single` gives."""
    kind, whole = single.get(name), exactly(key, slice) and key.step is None
    return plain_item(value, key, name, kind is not None and (whole or exactly(key, kind)))


def _no_reading(value: object, source: Origin, show: ShowValue) -> Reading | None:
    return None


def _no_own(value: object, name: str) -> object:
    return None


def _no_labels(value: object, name: str) -> Iterable[object]:
    return ()


def _no_item(value: object, key: object, name: str) -> object:
    return plain_item(value, key, name, False)


def _foreign(value: object) -> object:
    return FOREIGN


@frozen(kw_only=True)
class Adapter:
    """The functions that read the values of a library. Each has a general default.

    `reading` and `fingerprint` also get values of subclasses. The others get only values of the
    library's own types, and the type's name.
    """

    packages: tuple[str, ...]
    """The first parts of the names of its modules."""
    reading: Callable[[Any, Origin, ShowValue], Reading | None] = _no_reading
    """The value in words. None if the adapter does not know it."""
    fingerprint: Callable[[Any, type], object] | None = None
    """Numbers and plain text that change when the value does. The type is the library's."""
    tables: Mapping[str, Callable[[Any], Table]] = field(default_factory=dict[str, Any])
    """The value as a table, by the name of its class. Raises NoTable."""
    as_own: Callable[[Any, str], object] = _no_own
    """A subclass's value as the library's own type, over the same memory. None if it cannot be."""
    lazy: tuple[str, ...] = ()
    """Classes of data that is not computed yet. `*` means all."""
    labels: Callable[[Any, str], Iterable[object]] = _no_labels
    """The names of its columns or fields."""
    attributes: Mapping[str, frozenset[str]] = field(default_factory=dict[str, Any])
    """Attributes that take O(1) or O(columns) and copy no data, by the name of the class."""
    attribute: Callable[[Any, str], object] = getattr
    """The value of one of these attributes. Raises Refused."""
    dotted: tuple[str, ...] = ()
    """Classes whose items are also attributes."""
    item: Callable[[Any, Any, str], object] = _no_item
    """The item of a constant key or a slice, without a large copy. Raises Refused."""
    scalar: Callable[[Any], object] = _foreign
    """A single value to compare: None if it is missing, FOREIGN if its code might run."""
