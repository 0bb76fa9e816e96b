"""Reads the stored parameters of scikit-learn estimators, without calling their methods."""

from itertools import islice
from types import FunctionType

from ..adapter import FIRST_VALUES, MAX_LISTED, Adapter, Origin, Reading, ShowValue
from ..introspect import MAX_SCANNED, at_home, class_item, clip, defaults, exactly, mro, own_items
from ..redact import redacted


def _reading(value: object, source: Origin, show: ShowValue) -> Reading | None:
    """Whether an estimator is fitted, and its parameters that differ from the default."""
    if not any(base.__name__ == "BaseEstimator" for base in mro(type(value)) if at_home(base)):
        return None
    items = [(n, each) for n, each in islice(own_items(value), MAX_SCANNED) if type(n) is str]
    held = [(clip(n), redacted(n, each)) for n, each in items]
    fitted = [(name, each) for name, each in held if name[-1:] == "_" and name[:1] != "_"]
    starts = (class_item(base, "__init__") for base in mro(type(value)))
    start = next((each for each in starts if exactly(each, FunctionType)), None)
    usual = dict(defaults(start)) if start else {}
    own = [(n, each) for n, each in held if n[-1:] != "_" and n[:1] != "_"]
    other = [(n, each) for n, each in own if n not in usual or not _equal(usual[n], each)]

    head = f"{source.title}, {'fitted' if fitted else 'not fitted'}"
    shown = (*other[:FIRST_VALUES], *fitted[:FIRST_VALUES])
    if shown:
        head += f": {', '.join(f'{n}={show(each)}' for n, each in shown)}"
    return Reading(head, ((f".{n} = ", each) for n, each in [*own, *fitted][:MAX_LISTED]))


def _equal(one: object, other: object) -> bool:
    same = type(one) is type(other) and exactly(one, str, int, float, bool)
    return one is other or (same and one == other)


SKLEARN = Adapter(packages=("sklearn",), reading=_reading)
