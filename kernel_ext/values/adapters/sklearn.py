"""Estimators of scikit-learn: by their stored parameters; none is asked for them."""

from collections.abc import Iterator
from itertools import islice
from types import FunctionType
from typing import Any

from ..adapter import (
    FIRST_VALUES,
    MAX_LISTED,
    Adapter,
    Origin,
    Reading,
    ReadingEntry,
    ShowValue,
    library_title,
)
from ..introspect import (
    MAX_SCANNED,
    at_home,
    class_items,
    clip,
    exactly,
    find_item,
    items_of,
    mro,
    own_items,
    tuple_elements,
)
from ..redact import redacted


def _reading(value: object, source: Origin, show: ShowValue) -> Reading | None:
    """An estimator: whether it is fitted, and the parameters that are not at their default."""
    if not any(base.__name__ == "BaseEstimator" for base in mro(type(value)) if at_home(base)):
        return None
    items = [(n, each) for n, each in islice(own_items(value), MAX_SCANNED) if type(n) is str]
    held = [(clip(n), redacted(n, each)) for n, each in items]
    fitted = [(name, each) for name, each in held if name[-1:] == "_" and name[:1] != "_"]
    usual = dict(_defaults(value))
    own = [(n, each) for n, each in held if n[-1:] != "_" and n[:1] != "_"]
    other = [(n, each) for n, each in own if n not in usual or not _equal(usual[n], each)]

    state = "fitted" if fitted else "not fitted"
    parts = ", ".join(
        f"{n}={show(each)}" for n, each in (*other[:FIRST_VALUES], *fitted[:FIRST_VALUES])
    )
    entries: Iterator[ReadingEntry] = (
        (f".{name} = ", each) for name, each in [*own, *fitted][:MAX_LISTED]
    )
    return Reading(
        f"{library_title(value, source)}, {state}" + (f": {parts}" if parts else ""), entries
    )


def _defaults(value: object) -> Iterator[tuple[str, object]]:
    for base in mro(type(value)):
        start: Any = find_item(class_items(base), "__init__")
        if type(start) is FunctionType:
            code = start.__code__
            given = [] if start.__defaults__ is None else list(tuple_elements(start.__defaults__))
            names = code.co_varnames[: code.co_argcount]
            yield from zip(reversed(names), reversed(given), strict=False)
            yield from ((n, d) for n, d in items_of(start.__kwdefaults__) if type(n) is str)
            return


def _equal(one: object, other: object) -> bool:
    same = type(one) is type(other) and exactly(one, str, int, float, bool)
    return one is other or (same and one == other)


SKLEARN = Adapter(packages=("sklearn",), reading=_reading)
