"""Readers that other packages bring, by the entry point group `inkernel.readers`.

An entry point names a function `value -> str | None`: one line for a value it knows, None for any
other. It is asked only for an instance that no reader here knows, on the main thread, and what it
runs is its own affair: it should neither compute, connect nor call a foreign method. Readers are
loaded when the first such value is looked at. One that fails to load or raises is named in the
line it would have given. One that the watchdog had to end, or that took longer than
`READER_SECONDS`, is not asked again in this process; one that stays in C for good can only be
interrupted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Any

from .introspect import clip, type_words
from .watchdog import TooSlow, lent, unhurried

GROUP = "inkernel.readers"
READER_SECONDS = 0.1
"""A reader that takes longer is asked no more."""


@dataclass(slots=True)
class PluggedReader:
    """A named reader; `fault`: why it is not asked."""

    name: str
    read: Callable[[Any], object]
    fault: str = ""

    def line(self, value: object) -> str | None:
        """What it says of the value, or that it failed; None if it does not know it."""
        if self.fault:
            return None
        started = perf_counter()
        try:
            text = lent(self.read, value)
        except TooSlow:
            self.fault = "too slow"
            raise
        except Exception as error:
            return f"(reader {self.name} failed: {type_words(error)})"
        finally:
            if perf_counter() - started > READER_SECONDS:
                self.fault = "too slow"
        return None if text is None else clip(text, 200)


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
    return tuple(_load())


def read_plugged(value: object) -> str | None:
    """The first line that a plugged reader has for the value."""
    with unhurried():
        readers = plugged_readers()
    lines = (reader.line(value) for reader in readers)
    return next((line for line in lines if line is not None), None)
