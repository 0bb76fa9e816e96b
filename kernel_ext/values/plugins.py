"""Adapters and readers that other packages bring, by the entry point group `inkernel.readers`.

An entry point names an `Adapter`, or a function `value -> str | None`: one line for a value it
knows, None for any other. An adapter is asked for the classes of its packages that no adapter here
has; a function only for an instance that nobody else knows. They run on the main thread, and what
they run is their own affair: they should neither compute, connect nor call a foreign method. They
are loaded when the first such value is looked at. One that fails to load or raises is named in the
line it would have given. One that the watchdog had to end, or that took longer than
`READER_SECONDS`, is not asked for a line again in this process; one that stays in C for good can
only be interrupted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from time import perf_counter
from typing import Any, TypeVar

from .adapter import MAX_LINE_CHARS, MAX_LISTED, Adapter, Origin, Reading, ReadingEntry, ShowValue
from .introspect import clip, type_words
from .watchdog import TooSlow, lent, unhurried

GROUP = "inkernel.readers"
READER_SECONDS = 0.1
"""A reader that takes longer is asked no more."""

T = TypeVar("T")


@dataclass(slots=True)
class PluggedReader:
    """A named function or adapter; `fault`: why it is not asked."""

    name: str
    read: Callable[[Any], object] | Adapter
    fault: str = ""

    def line(self, value: object) -> str | None:
        """What a function says of the value, or that it failed; None if it does not know it."""
        read = self.read
        if isinstance(read, Adapter):
            return None
        text = self._asked(lambda: lent(read, value))
        return None if text is None else clip(text, MAX_LINE_CHARS)

    def adapter(self, package: str) -> Adapter | None:
        """Itself, if it is an adapter for such a package, and may be ended in what it runs."""
        given = self.read
        if not isinstance(given, Adapter) or package not in given.packages:
            return None
        seen = given.fingerprint and partial(lent, given.fingerprint)
        return replace(given, reading=partial(self._reading, given), fingerprint=seen)

    def _reading(
        self, given: Adapter, value: object, source: Origin, show: ShowValue
    ) -> Reading | None:
        def read() -> Reading | None:
            found = lent(given.reading, value, source, show)
            if found is None:
                return None
            entries = lent(list[ReadingEntry], islice(found.entries, MAX_LISTED))
            return Reading(clip(found.head, MAX_LINE_CHARS), iter(entries))

        found = self._asked(read)
        return Reading(found) if isinstance(found, str) else found

    def _asked(self, ask: Callable[[], T]) -> T | str | None:
        if self.fault:
            return None
        started = perf_counter()
        try:
            return ask()
        except TooSlow:
            self.fault = "too slow"
            raise
        except Exception as error:
            return f"(reader {self.name} failed: {type_words(error)})"
        finally:
            if perf_counter() - started > READER_SECONDS:
                self.fault = "too slow"


def _load() -> Iterator[PluggedReader]:
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=GROUP)):
        try:
            read = point.load()
        except Exception as error:
            read = _failing(error)
        yield PluggedReader(clip(point.name, 40), read)


def _failing(error: Exception) -> Callable[[object], object]:
    def read(value: object) -> object:
        raise error

    return read


@cache
def plugged_readers() -> tuple[PluggedReader, ...]:
    """Those of the installed packages, by name; loaded once."""
    with unhurried():
        return tuple(_load())


def plugged_adapter(package: str) -> Adapter | None:
    """The first plugged adapter for a package."""
    adapters = (reader.adapter(package) for reader in plugged_readers())
    return next((each for each in adapters if each), None)


def read_plugged(value: object) -> str | None:
    """The first line that a plugged function has for the value."""
    lines = (reader.line(value) for reader in plugged_readers())
    return next((line for line in lines if line is not None), None)
