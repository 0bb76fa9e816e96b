"""Reads arrays and scalars of numpy in place. Never copies a whole array."""

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from types import EllipsisType, NoneType
from typing import Any

from ..adapter import (
    FIRST_VALUES,
    FOREIGN,
    Adapter,
    Column,
    NoTable,
    Origin,
    Reading,
    ReadingEntry,
    ShowValue,
    Table,
    first_texts,
    is_own,
    plain_item,
    shape_text,
)
from ..introspect import clip, exactly, is_a, own_items, stored, tuple_elements
from .evidence import array, attributes

RANGE_SIZE = 1_000_000
"""Elements of an array. Of a larger one, minimum and maximum are not computed."""
MAX_FIELDS = 1_000
"""Fields of a record that are shown as columns, at most."""


def element(array: Any, i: int) -> object:
    """One element by position, `unboxed`."""
    return unboxed(array[i])


def unboxed(held: Any) -> object:
    """numpy's numbers as Python's, also in a tuple. Other values stay as they are."""
    if exactly(held, tuple):
        return tuple(map(unboxed, held))
    scalar = is_own(held, "numpy") and is_a(held, sys.modules["numpy"].generic)
    return held.item() if scalar and held.dtype.kind in "biufc" else held


def cut(array: Any, i: int, j: int) -> Iterable[object]:
    """The values of rows `i` to `j`."""
    held = array[i:j]
    if is_own(held, "numpy") and held.dtype.kind in "Mm":  # nanoseconds would become numbers
        held = held.astype(f"{held.dtype.kind}8[us]")
    return held.tolist()


def array_item(kind: str, value: Any, key: object, name: str) -> object:
    """Like `plain_item`, if the subscript gives a view of an array. `kind`: its class."""
    parts = tuple_elements(key) if exactly(key, tuple) else (key,)
    is_cut = all(exactly(each, int, slice, NoneType, EllipsisType) for each in parts)
    return plain_item(value, key, name, name == kind and is_cut)


def _reading(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    numpy: Any = sys.modules["numpy"]
    if is_a(value, numpy.ndarray):
        return _read_array(numpy.ndarray.view(value, numpy.ndarray), source.title, show)
    if not source.exact:
        return None
    if is_a(value, numpy.dtype):
        return Reading(f"dtype {_dtype(value)}")
    if is_a(value, numpy.generic) and not (is_a(value, str) or is_a(value, bytes)):
        text = str(value) if value.dtype.kind in "Mm" else show(value.item())
        return Reading(f"{source.name} {text}")
    return None


def _dtype(dtype: Any) -> str:
    # the text of a structured type includes its titles, which may be any object
    return str(dtype) if dtype.names is None else f"record of {', '.join(map(clip, dtype.names))}"


def _read_array(array: Any, title: str, show: ShowValue) -> Reading:
    start = array.flat[: FIRST_VALUES + 1]
    values = (start.astype(str) if array.dtype.kind in "Mm" else start).tolist()

    def entries() -> Iterator[ReadingEntry]:
        numpy: Any = sys.modules["numpy"]
        yield f"{array.nbytes:,} bytes"
        if array.dtype.kind in "biuf" and 0 < array.size <= RANGE_SIZE:
            low, high = (each.reduce(array, axis=None).item() for each in (numpy.fmin, numpy.fmax))
            nan = int(numpy.isnan(array).sum()) if array.dtype.kind == "f" else 0
            yield f"min {low!r}, max {high!r}" + (f", {nan:,} nan" if nan else "")

    head = f"{title} {shape_text(array.shape)} {_dtype(array.dtype)}: "
    return Reading(head + first_texts(map(show, values)), entries())


def _fingerprint(value: Any, base: type) -> object:
    numpy: Any = sys.modules["numpy"]
    if is_a(value, numpy.ndarray):
        mapped = is_a(value, numpy.memmap)  # reading it may wait for a disk
        plain = numpy.ndarray.view(value, numpy.ndarray)
        held = (plain.shape, id(plain.dtype)) if mapped else array(plain)
        return held, attributes(own_items(value))
    return 0 if is_a(value, numpy.generic) else attributes(stored(value))


def _table(array: Any) -> Table:
    names: Any = array.dtype.names
    if names and array.ndim == 1:
        columns = [array[name] for name in names[:MAX_FIELDS]]
    elif array.ndim in (1, 2):
        columns = None
        names = range(array.shape[1] if array.ndim == 2 else 1)
    else:
        raise NoTable(f"has {array.ndim} dimensions; inspect shows parts of it.")

    def column(i: int) -> Column:
        held = columns[i] if columns else array[:, i] if array.ndim == 2 else array
        if held.dtype.kind not in "biufcSUMmO" or held.ndim != 1:
            return Column(names[i], "record")
        return Column(names[i], str(held.dtype), partial(element, held), partial(cut, held))

    return Table("numpy ndarray", len(array), len(names), names.__getitem__, column)


def _labels(value: Any, name: str) -> Iterable[object]:
    return (value.dtype.names or ()) if name == "ndarray" else ()


def _scalar(value: Any) -> object:
    if not (is_a(value, sys.modules["numpy"].generic) and value.dtype.kind in "biufUM"):
        return FOREIGN
    held = value.item()
    return held if held == held else None


NUMPY = Adapter(
    packages=("numpy",),
    reading=_reading,
    fingerprint=_fingerprint,
    tables={"ndarray": _table},
    labels=_labels,
    attributes={
        "ndarray": frozenset(("shape", "dtype", "size", "ndim", "nbytes", "strides", "T")),
    },
    item=partial(array_item, "ndarray"),
    scalar=_scalar,
)
