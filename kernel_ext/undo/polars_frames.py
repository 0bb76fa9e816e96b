"""Brings polars frames and series back without a fork, since polars copies on write.

It calls polars only in the live process: in a copy of the process polars waits for threads that
do not exist there. A clone costs microseconds and shares all memory until one of the two changes.
It is apart from `values/adapters/polars`, which only reads. This file holds clones and writes.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ..values.introspect import at_home, type_name

NESTED = "a polars object, which is brought back only as the value of a name"
_STORE = {"DataFrame": "_df", "Series": "_s"}


def cloned(names: Mapping[str, object]) -> dict[str, object]:
    """A clone of each value that is itself a polars frame or series."""
    clones: dict[str, object] = {}
    if "polars" not in sys.modules:
        return clones
    for name, value in names.items():
        store = _store(value)
        if store and hasattr(value, store):
            held: Any = value
            clones[name] = held.clone()
    return clones


def give_back(names: Mapping[str, object], clones: Mapping[str, object]) -> Iterable[str]:
    """Give each value the content of its clone. Yields the names of those that differed."""
    for name, clone in clones.items():
        value: Any = names[name]
        before: Any = clone
        if not _same(value, before):
            store = _store(value)
            setattr(value, store, getattr(before.clone(), store))
            yield name


def _store(value: object) -> str:
    kind: type = type(value)
    module, name = type_name(kind)
    return _STORE.get(name, "") if module.startswith("polars.") and at_home(kind) else ""


def _same(one: Any, other: Any) -> bool:
    described = ("schema",) if hasattr(one, "schema") else ("name", "dtype")
    if any(getattr(one, each) != getattr(other, each) for each in described):
        return False
    try:
        return one.equals(other, null_equal=True)
    except BaseException:  # polars' panics, for columns of Python objects, are no Exceptions
        return False
