"""Adapters and readers of other packages, from the entry point group `inkernel.readers`.

An entry point names an `Adapter`, or a function `value -> str | None`. The function gives one line
for a value that it knows, else None. An adapter serves the classes of its packages that no adapter
here has. A function is called only for an instance that nothing else knows.

They run on the main thread, and may run any code. But they should neither compute, connect nor call
a foreign method. They load when the first such value is described. If one fails to load or raises,
its line names it. One that took longer than `READER_SECONDS`, or that the watchdog ended, is not
called again in this process. One that never returns from C can only be interrupted.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from .adapter import MAX_LINE_CHARS, MAX_LISTED, Adapter, Origin, Reading, ReadingEntry, ShowValue
from .introspect import clip, type_words
from .watchdog import TooSlow, lent, unhurried

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "inkernel.readers"
READER_SECONDS = 0.1
"""Seconds that a reader may take. A slower one is not called again."""

T = TypeVar("T")


@dataclass(slots=True)
class PluggedReader:
    """A named function or adapter. `fault`: the reason why it is not called."""

    name: str
    read: Callable[[Any], object] | Adapter
    fault: str = ""

    def line(self, value: object) -> str | None:
        """The function's line for the value, or that it failed. None if it does not know it."""
        read = self.read
        if isinstance(read, Adapter):
            return None
        text = self._asked(lambda: lent(read, value))
        return None if text is None else clip(text, MAX_LINE_CHARS)

    def adapter(self, package: str) -> Adapter | None:
        """The adapter, if it serves such a package. The watchdog may end its functions."""
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


def installed_points() -> "list[EntryPoint]":
    """The entry points of installed packages. A folder beside the notebook may claim to be one."""
    import site
    from importlib.metadata import distributions

    folders = [*site.getsitepackages(), site.getusersitepackages()]
    found = distributions(path=[folder for folder in sys.path if folder in folders])
    named = {each.name: each for each in reversed(list(found))}  # the first of a name counts
    return sorted(
        point for each in named.values() for point in each.entry_points.select(group=GROUP)
    )


def _load() -> Iterator[PluggedReader]:
    for point in installed_points():
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
    """The readers of the installed packages, sorted by name and loaded once."""
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
