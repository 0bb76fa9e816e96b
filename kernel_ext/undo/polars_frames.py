"""polars frames and series changed in place, given back without a fork: polars copies on write.

They are asked in the live process alone. In a copy of it polars waits for threads that are not
there; a clone costs microseconds and shares all memory until it is written to.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ..values.introspect import at_home, type_name

NESTED = "a polars object, which is brought back only as the value of a name"
_STORE = {"DataFrame": "_df", "Series": "_s"}


def cloned(names: Mapping[str, object]) -> dict[str, object]:
    """A clone of each value that is just a polars frame or series, and can be given back."""
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
    """Give each what its clone holds; the names of those that differed."""
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
    except BaseException:  # columns of Python objects: polars' panics are no Exceptions
        return False
