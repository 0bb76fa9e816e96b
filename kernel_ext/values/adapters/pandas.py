"""Reads the storage of pandas frames, series and indexes, without code of a foreign type."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from ..adapter import (
    FOREIGN,
    Adapter,
    Column,
    NoKey,
    NoTable,
    Origin,
    Reading,
    ShowValue,
    Table,
    demand,
    is_own,
    is_own_zone,
    only_column,
    plain_item,
)
from ..introspect import exactly, is_a, is_same, peek, stored, type_words
from .evidence import MAX_ARRAYS, MAX_ELEMENTS, array, attributes, is_array
from .numpy import cut, element, unboxed
from .tables import NULL_ROWS, read_column, read_table

MAX_LABELS = 10_000
"""Labels of an axis that are compared to find one, at most."""
MAX_TURNED_CELLS = 100_000
"""Cells of a frame that may be transposed by its `T`."""
NULL_OBJECT_ROWS = 10_000
"""Rows of a column of Python objects. In a longer one, nulls are not counted."""


def _is_index(value: object) -> bool:
    """Whether it is a pandas Index, or of a subclass."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and is_a(value, pandas.Index)


def _is_plain(array: Any) -> bool:
    """Whether dtype and elements of an array or index can be read without foreign code.

    It must be numpy's or pandas' own, including a time zone and the levels of a MultiIndex.
    """
    if not is_own(array, "pandas", "numpy"):
        return False
    if hasattr(array, "levels"):
        return all(map(_is_plain, array.levels))
    if _is_index(array):  # a RangeIndex, which has a step, would fill its array
        return hasattr(array, "step") or _is_plain(_backing(array))
    return is_own_zone(getattr(getattr(array.dtype, "subtype", array.dtype), "tz", None))


def _backing(held: Any, i: int = 0) -> object:
    """The stored array of an Index, a Series or column `i` of a DataFrame.

    pandas' public functions would make a view or a Series, which runs a foreign array's code.
    """
    if _is_index(held):
        return held._data
    blocks = held._mgr.blocks
    return blocks[held._mgr.blknos[i] if len(blocks) > 1 else 0].values


def _reading(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    title, name = source.title, source.name
    if name in ("DataFrame", "Series"):
        held = value if source.exact else _as_own(value, name)
        return None if held is None else _read_held(held, title, name, show)
    if not source.exact:
        return None
    if _is_index(value):
        if not _is_plain(value):
            return Reading(f"{title} of a foreign type (not read)")
        column = replace(_column(None, value), nulls=None)
        return read_column(only_column(title, len(value), column), show)
    if name in ("NaTType", "NAType"):
        return Reading(name.removesuffix("Type"))
    if name == "Interval":
        return Reading(f"Interval {value.closed} {show(value.left)} … {show(value.right)}")
    return Reading(f"{name} {value}") if name == "Period" or name.endswith("Dtype") else None


def _as_own(value: object, name: str) -> object:
    """A subclass's value as pandas' own type, over the same memory."""
    blocks: Any = peek(value, "_mgr")
    if not is_own(blocks, "pandas"):
        return None
    same = getattr(sys.modules["pandas"], name)._from_mgr(blocks, blocks.axes)
    object.__setattr__(same, "_name", peek(value, "_name"))
    return same


def _read_held(held: Any, title: str, name: str, show: ShowValue) -> Reading:
    if not all(map(_is_plain, held.axes)):
        return Reading(f"{title} with labels of a foreign type (not read)")
    if name == "Series":
        return read_column(replace(_series(held, None), title=title), show)
    head, entries = read_table(replace(_frame(held), title=title), show)
    return Reading(head, chain([("index: ", held.index)], entries))


def _nulls(array: Any) -> Callable[[], int] | None:
    pandas: Any = sys.modules["pandas"]
    values = getattr(array, "_ndarray", array)
    if not (is_own(values, "numpy") and values.dtype.kind == "O"):
        return (lambda: int(array.isna().sum())) if len(array) <= NULL_ROWS else None

    def null(held: object) -> bool:  # isna would read each object's __class__
        missing = held is None or held is pandas.NA or held is pandas.NaT
        return missing or (type(held) is float and held != held)

    return (lambda: sum(map(null, values))) if len(array) <= NULL_OBJECT_ROWS else None


def _frame(frame: Any) -> Table:
    _demand_labels(frame.axes)

    def column(i: int) -> Column:
        array, label = _backing(frame, i), element(frame.columns, i)
        return _column(label, frame.iloc[:, i].array if _is_plain(array) else array)

    height, width = frame.shape
    labels, rows = partial(element, frame.columns), partial(element, frame.index)
    return Table("pandas DataFrame", height, width, labels, column, rows)


def _series(series: Any, unnamed: object = "value") -> Table:
    _demand_labels(series.axes)
    array = _backing(series)
    name = unnamed if series.name is None else unboxed(series.name)
    column = _column(name, series.array if _is_plain(array) else array)
    return only_column("pandas Series", len(series), column, partial(element, series.index))


def _demand_labels(axes: Iterable[object]) -> None:
    if not all(map(_is_plain, axes)):
        raise NoTable("has labels of a foreign type, whose code might run; use run_cell.")


def _column(label: object, array: Any) -> Column:
    if not _is_plain(array):
        return Column(label, type_words(array))
    bare = is_own(array.dtype, "numpy") or type_words(array).endswith(".NumpyExtensionArray")
    part = partial(cut, getattr(array, "_ndarray", array) if bare else array)
    return Column(label, str(array.dtype), partial(element, array), part, _nulls(array))


def _fingerprint(value: Any, base: type) -> object:
    manager: Any = _got(value, "_mgr")
    if not is_own(manager, "pandas"):
        # only the name of an index can change; the rest of its storage is a cache
        return id(_got(value, "_name")) if _is_index(value) else attributes(stored(value))
    axes, blocks = manager.axes, manager.blocks
    held = [block.values for block in blocks[:MAX_ELEMENTS]]
    named = [(id(axis), id(_got(axis, "_name"))) for axis in axes]
    sampled = map(_sampled, held[:MAX_ARRAYS])
    return *named, len(blocks), *map(id, held), *sampled, id(_got(value, "_name"))


def _got(held: object, name: str) -> object:
    """An attribute: by `getattr` for pandas' own classes, else as it is stored."""
    return getattr(held, name, None) if is_own(held, "pandas") else peek(held, name)


def _sampled(held: Any) -> object:
    """The evidence of one column or block: numpy's memory, or the objects that hold it."""
    if is_array(held):
        return array(held)
    parts = [_got(held, name) for name in ("_ndarray", "_data", "_mask", "_pa_array")]
    return *map(id, parts), *map(array, filter(is_array, parts))


def _labels(value: Any, name: str) -> Iterable[object]:
    if name != "DataFrame" or not _is_plain(value.columns):
        return ()
    return (element(value.columns, i) for i in range(len(value.columns)))


def _attribute(value: Any, name: str) -> object:
    if hasattr(value, "columns"):
        plain = _is_plain_frame(value)
    else:
        plain = _is_plain(value if _is_index(value) else _backing(value))
    demand(plain, _FOREIGN_VALUES)
    demand(name != "T" or value.size <= MAX_TURNED_CELLS, "would copy a large table")
    return getattr(value, name)


def _is_plain_frame(frame: Any) -> bool:
    return all(map(_is_plain, [*frame.axes, *(each.values for each in frame._mgr.blocks)]))


def _item(value: Any, key: Any, name: str) -> object:
    if _is_index(value):
        single = exactly(key, int) or (exactly(key, slice) and key.step is None)
        return plain_item(value, key, name, single and _is_plain(value))
    if name == "DataFrame":
        if exactly(key, slice):
            demand(_is_plain_frame(value), "cuts rows of a type that is not pandas' own")
            return value.iloc[key]
        i = _position(value.columns, key)
        demand(_is_plain(_backing(value, i)), "names a column of a type that is not pandas' own")
        return value.iloc[:, i]
    plain = name == "Series" and _is_plain(_backing(value)) and _is_plain(value.index)
    demand(plain, _FOREIGN_VALUES)
    return value.iloc[key if exactly(key, slice) else _position(value.index, key)]


def _position(labels: Any, key: object) -> int:
    demand(_is_plain(labels), "has labels of a type that is not pandas' own")
    if hasattr(labels, "step"):  # a RangeIndex computes the position
        return labels.get_loc(key)
    size = min(len(labels), MAX_LABELS)
    found = [i for i in range(size) if is_same(element(labels, i), key)]
    if len(found) != 1:
        raise NoKey(f"not exactly once in the first {size:,} labels")
    return found[0]


def _scalar(value: Any) -> object:
    pandas: Any = sys.modules["pandas"]
    if value is pandas.NA or value is pandas.NaT:
        return None
    own = exactly(value, pandas.Timestamp) and is_own_zone(value.tzinfo)
    return value if own else FOREIGN


_FOREIGN_VALUES = "has values of a type that is not pandas' own"
_INDEX = frozenset(("name", "names", "dtype", "shape", "size"))
_INDEXES = (
    *("Index", "RangeIndex", "MultiIndex", "CategoricalIndex", "IntervalIndex"),
    *("DatetimeIndex", "TimedeltaIndex", "PeriodIndex"),
)

PANDAS = Adapter(
    packages=("pandas",),
    reading=_reading,
    fingerprint=_fingerprint,
    tables={"DataFrame": _frame, "Series": _series},
    as_own=_as_own,
    labels=_labels,
    attributes={
        "DataFrame": frozenset(("columns", "index", "shape", "size", "ndim", "dtypes", "T")),
        "Series": frozenset(("index", "name", "dtype", "shape", "size", "ndim")),
        **dict.fromkeys(_INDEXES, _INDEX),
    },
    attribute=_attribute,
    dotted=("DataFrame",),
    item=_item,
    scalar=_scalar,
)
