"""A line for each live name, and its evidence. Knows no shell, and runs no code of a value.

A snapshot costs little if little changed: it makes a line only for a name whose evidence is new.
"""

from collections.abc import Mapping
from operator import is_
from sys import getsizeof
from typing import Any, NamedTuple, cast

from ...agent.protocol.observed import Variable
from .adapters.evidence import MAX_ELEMENTS, is_builtin, is_scalar
from .describe import TOO_SLOW, brief
from .fingerprint import fingerprint, identity
from .introspect import clip, exactly, label
from .redact import redacted
from .watchdog import in_time, watching

MAX_NEW_LINES = 1_000
"""New names that get whole lines in a snapshot. Further ones get only their type."""
MAX_NAME_CHARS = 100
"""Characters of a name that are shown, at most."""
MAX_CONSTANT_BYTES = 300
"""Bytes of a constant that is kept for a faster comparison, at most."""


class _Copy(NamedTuple):
    """The address and the old content of a list, set or dict of constants."""

    kind: type
    address: int
    keys: tuple[object, ...]
    elements: tuple[object, ...]


class _Kept(Variable):
    """A variable with kept constants, which make a comparison with the same value faster.

    They are the value itself, if it is a scalar or a tuple of scalars, or a copy of its content.
    Nothing else is kept alive.
    """

    __slots__ = ("constants",)
    constants: object


class _Slow(Variable):
    """A variable whose value took too long. The same object is not read again."""

    __slots__ = ()


def snapshot(names: Mapping[str, object], told: Mapping[str, Variable]) -> dict[str, Variable]:
    """Each name as it is now. An unchanged one is the same `Variable` object as in `told`.

    `names` are the user's, `told` is an earlier snapshot of this kernel. Runs no code of a value
    and never raises. bench/names.py measures its time.
    """
    with watching():
        return _snapshot(names, told)


def _snapshot(names: Mapping[str, object], told: Mapping[str, Variable]) -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    new: list[tuple[str, object, str]] = []
    # two tuples, since 10,000 new pairs would start the garbage collector
    for name, value in zip(tuple(names), tuple(names.values()), strict=False):
        seen = told.get(name)
        if type(seen) is _Kept:
            kept = seen.constants
            if kept is value or (type(kept) is _Copy and _same(kept, value)):
                found[name] = seen
                continue
        elif type(seen) is _Slow and seen.evidence == identity(value):
            found[name] = seen
            continue
        quick = is_builtin(type(value))
        evidence = fingerprint(value) if quick else in_time(fingerprint, value, identity)
        if seen is None or seen.evidence != evidence:
            new.append((name, value, evidence))
            seen = Variable(name, "", evidence)
        found[name] = seen
    short = len(new) - MAX_NEW_LINES
    for i, (name, value, evidence) in enumerate(new):
        text = label(type(value)) if i < short else brief(redacted(name, value))
        found[name] = _seen(f"{clip(name, MAX_NAME_CHARS)}: {text}", name, value, evidence)
    return found


def _seen(line: str, name: str, value: object, evidence: str) -> Variable:
    if " " not in evidence or line.endswith(TOO_SLOW):  # the evidence does not cover the content
        return _Slow(name, line, identity(value))
    constants = _constants(value)
    if constants is _NOTHING:
        return Variable(name, line, evidence)
    seen = _Kept(name, line, evidence)
    object.__setattr__(seen, "constants", constants)
    return seen


def _constants(value: Any) -> object:
    """The value if it is constant, a copy of its constants, or `_NOTHING` if it has other content.

    Constants are compared by identity: while one is kept, no other object has its address.
    """
    kind: type = type(cast("object", value))
    if _is_constant(value):
        return value
    if not exactly(value, list, tuple, set, dict) or len(value) > MAX_ELEMENTS:
        return _NOTHING
    keys = tuple(value) if kind is dict else ()
    elements: tuple[object, ...] = tuple(value.values() if kind is dict else value)
    if not all(map(_is_constant, (*keys, *elements))):
        return _NOTHING
    return value if kind is tuple else _Copy(kind, id(value), keys, elements)


def _is_constant(value: object) -> bool:
    return is_scalar(type(value)) and getsizeof(value) <= MAX_CONSTANT_BYTES


def _same(kept: _Copy, value: Any) -> bool:
    kind, address, keys, elements = kept
    if id(value) != address or type(value) is not kind or len(value) != len(elements):
        return False
    if kind is dict:
        return all(map(is_, value, keys)) and all(map(is_, value.values(), elements))
    return all(map(is_, value, elements))


_NOTHING = _Copy(object, 0, (), ())
