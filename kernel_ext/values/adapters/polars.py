"""Reads frames and series of polars column by column. Does not compute a LazyFrame."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ..adapter import (
    Adapter,
    Column,
    Origin,
    Reading,
    ShowValue,
    Table,
    frame_item,
    is_own,
    only_column,
)
from ..introspect import stored, type_words
from .evidence import attributes, token
from .tables import read_column, read_table

SAMPLED_FRAME_CELLS = 8
"""Rows of a frame that a fingerprint reads. It reads twice as many columns."""


def _reading(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    if source.name == "LazyFrame":
        return Reading(f"{source.title}, not computed")
    if source.exact and source.name == "DataFrame":
        return read_table(_frame(value, _column), show)
    if source.exact and source.name == "Series":
        return read_column(only_column("polars Series", len(value), _column(value)), show)
    return None


def _column(series: Any) -> Column:
    dtype = series.dtype
    if not is_own(dtype, "polars"):
        return Column(series.name, type_words(dtype))

    return Column(
        series.name,
        str(dtype),
        at=series.__getitem__,
        part=None if dtype.is_nested() else lambda i, j: series[i:j].to_list(),
        nulls=series.null_count,
    )


def _plain_column(series: Any) -> Column:
    """A column of a table. One of Python objects has no values, since they are not shown."""
    column = _column(series)
    hidden = column.at and series.dtype.is_object()
    return Column(series.name, type_words(series.dtype)) if hidden else column


def _frame(frame: Any, read: Callable[[Any], Column] = _plain_column) -> Table:
    label, size = frame.columns.__getitem__, (frame.height, frame.width)
    return Table("polars DataFrame", *size, label, lambda i: read(frame.to_series(i)))


def _series(series: Any) -> Table:
    return only_column("polars Series", len(series), _plain_column(series))


def _fingerprint(value: Any, base: type) -> object:
    if base is not type(value) or base.__name__ not in ("DataFrame", "Series"):
        return attributes(stored(value))
    columns = [value]
    if base.__name__ == "DataFrame":
        columns = [value.to_series(i) for i in range(value.width)[: 2 * SAMPLED_FRAME_CELLS]]
    rows = range(len(columns[0])) if columns else range(0)
    picked = {*rows[:: len(rows) // SAMPLED_FRAME_CELLS + 1], *rows[-1:]}
    return value.shape, *(_sampled(each, picked) for each in columns)


def _sampled(series: Any, rows: Iterable[int]) -> object:
    dtype: object = series.dtype
    head = series.name, id(type(dtype))
    if not is_own(dtype, "polars") or series.dtype.is_nested() or series.dtype.is_object():
        return head
    return head, series.null_count(), *(token(series[row]) for row in rows)


def _labels(value: Any, name: str) -> Iterable[object]:
    return value.columns if name == "DataFrame" else ()


POLARS = Adapter(
    packages=("polars",),
    reading=_reading,
    fingerprint=_fingerprint,
    tables={"DataFrame": _frame, "Series": _series},
    lazy=("LazyFrame", "LazyGroupBy"),
    labels=_labels,
    attributes={
        "DataFrame": frozenset(("columns", "dtypes", "shape", "schema", "height", "width")),
        "Series": frozenset(("name", "dtype", "shape")),
    },
    item=partial(frame_item, single={"DataFrame": str, "Series": int}),
)
