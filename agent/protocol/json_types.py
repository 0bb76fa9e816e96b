"""Whether a JSON value is of the type that a field has. Knows no class with fields."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

LARGEST = 2**63 - 1
"""The largest number of a sound line. Nothing is counted so far, and SQLite takes no larger one."""

Fits = Callable[[object], bool]
_WIDER: Mapping[Any, tuple[type, ...]] = {float: (int, float), Any: (object,)}
_PLAIN = frozenset({str, bool, NoneType})
"""Types whose values all fit. A number may be too large."""


@cache
def checks_of(kind: type[Any]) -> tuple[tuple[str, frozenset[type], Fits], ...]:
    """By field of a dataclass: its name, the plain types it may have, a test for all others."""
    hints = get_type_hints(kind)
    named = ((it.name, hints[it.name]) for it in fields(kind))
    return tuple((name, _plain(hint), _check(hint)) for name, hint in named)


def _plain(kind: Any) -> frozenset[type]:
    return _PLAIN & {*(get_args(kind) if get_origin(kind) is UnionType else (kind,))}


def _check(kind: Any) -> Fits:
    """Tells whether a JSON value is of the type `kind`, with all that it holds."""
    made, of = get_origin(kind), get_args(kind)
    if made is UnionType and any(map(get_origin, of)):
        checks = [_check(it) for it in of]
        return lambda value: any(fits(value) for fits in checks)
    if made is Mapping:
        fits = _check(of[1])
        return lambda value: (
            isinstance(value, dict) and all(map(fits, cast("dict[str, object]", value).values()))
        )
    if made is Sequence:
        fits = _check(of[0])
        return lambda value: isinstance(value, list) and all(map(fits, cast("list[object]", value)))
    plain = tuple(it for each in of or (kind,) for it in _WIDER.get(each, (each,)))
    return lambda value: (
        isinstance(value, plain) and not (isinstance(value, int) and abs(value) > LARGEST)
    )
