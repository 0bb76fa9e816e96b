"""Values of ours as they were before a step: whether code changed them, and putting them back.

Identities are compared, because code can make a value that equals every other. Knows no session.
"""

import os
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...agent.identity import same_objects
from ..environment import variables_now

_MISSING = object()


class Watched(Protocol):
    """Something that only our own code may change."""

    def changed(self) -> Iterator[str]:
        """Put back everything that differs from how it was, and name it."""
        ...


@dataclass(frozen=True, slots=True)
class Attributes:
    """Attributes of an object, also of a frozen one."""

    words: str
    of: object
    before: tuple[tuple[str, Any], ...]

    def changed(self) -> Iterator[str]:
        """The attributes that another value replaced."""
        for name, value in self.before:
            if getattr(self.of, name, _MISSING) is not value:
                object.__setattr__(self.of, name, value)
                yield f"{self.words} ({name.lstrip('_')})"


def attributes_of(words: str, of: object, names: Iterable[str]) -> Attributes:
    """Those attributes as they are now."""
    return Attributes(words, of, tuple((name, getattr(of, name)) for name in names))


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries of a mapping. None of `names`: all of them, and there may be no others."""

    words: str
    of: MutableMapping[str, Any]
    before: dict[str, Any]
    names: tuple[str, ...] | None

    def changed(self) -> Iterator[str]:
        """The entries that were replaced, removed or added."""
        for name in self.names or [*self.before, *(it for it in self.of if it not in self.before)]:
            value = self.before.get(name, _MISSING)
            if self.of.get(name, _MISSING) is value:
                continue
            if value is _MISSING:
                del self.of[name]
            else:
                self.of[name] = value
            yield f"{self.words} ({name})"


def entries(words: str, of: MutableMapping[str, Any], names: Sequence[str] = ()) -> Entries:
    """Those entries as they are now, or all."""
    return Entries(words, of, dict(of), tuple(names) or None)


@dataclass(frozen=True, slots=True)
class Members:
    """Our own members of a list that others use, too. `at`: their places."""

    words: str
    of: list[Any]
    before: tuple[tuple[int, Any], ...]

    def changed(self) -> Iterator[str]:
        """Named once if one of them is gone."""
        gone = [it for it in self.before if not any(it[1] is one for one in self.of)]
        for at, member in gone:
            self.of.insert(at, member)
        if gone:
            yield self.words


def own_members(words: str, of: list[Any], is_own: Callable[[Any], bool]) -> Members:
    """Our members as they are now."""
    return Members(words, of, tuple((at, it) for at, it in enumerate(of) if is_own(it)))


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of this process whose names begin with `prefix`."""

    prefix: str
    before: dict[str, str]
    kept: tuple[object, ...]

    def changed(self) -> Iterator[str]:
        """The variables that were set, changed or removed."""
        if same_objects(_names_and_values(), self.kept):
            return
        now = environment(self.prefix).before
        for name in sorted(now.keys() | self.before.keys()):
            if now.get(name) != (value := self.before.get(name)):
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
                yield f"the variable {name}"


def environment(prefix: str) -> Variables:
    """Those variables as they are now."""
    kept = _names_and_values()
    named = {name: os.environ[name] for name in os.environ if name.startswith(prefix)}
    return Variables(prefix, named, kept)


def _names_and_values() -> tuple[object, ...]:
    """Of all variables of this process, as they are kept."""
    now = variables_now()
    return *now, *now.values()
