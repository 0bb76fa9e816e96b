"""What a reader is given and gives back, and the words all readers share. Knows no library."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from .introspect import at_home, type_name, type_words

ShowValue = Callable[[object], str]
"""One short, bounded, inert text for a value inside another; never raises."""
ReadingEntry = str | tuple[str, object]
"""A finished line, or a label and the live value that belongs behind it."""

FIRST_VALUES = 6
"""Values shown in a line."""


class Reading(NamedTuple):
    """What was seen: one line, and further entries that cost nothing until they are asked for."""

    head: str
    entries: Iterator[ReadingEntry] = iter(())


class Origin(NamedTuple):
    """The library class nearest to a type. `exact`: it is the type itself, not a subclass of it."""

    package: str
    name: str
    exact: bool


def is_own(value: object, *packages: str) -> bool:
    """Whether it is of just such a package's own class."""
    kind = type(value)
    return type_name(kind)[0].partition(".")[0] in packages and at_home(kind)


def library_title(value: object, source: Origin) -> str:
    """The library and its class; of a subclass its own name, too."""
    name = f"{source.package} {source.name}"
    return name if source.exact else f"{type_words(value)} ({name})"


def shape_text(sides: Iterable[float]) -> str:
    """The sides as one says them; () without any."""
    return " × ".join(f"{side:,}" for side in sides) or "()"
