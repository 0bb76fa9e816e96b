"""Frames and series of polars: read column by column; a LazyFrame is not computed."""

from collections.abc import Iterable
from typing import Any

from ..adapter import (
    Adapter,
    Column,
    Origin,
    Reading,
    ShowValue,
    Table,
    is_own,
    library_title,
    only_column,
    plain_item,
)
from ..introspect import exactly, stored, type_words
from .evidence import attributes, token
from .tables import read_column, read_table

SAMPLED_FRAME_CELLS = 8
"""Rows, and columns, of a frame that a fingerprint looks at."""


def _reading(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    if source.name == "LazyFrame":
        return Reading(f"{library_title(value, source)}, not computed")
    if source.exact and source.name == "DataFrame":

        def column(i: int) -> Column:
            return _column(value.to_series(i))

        return read_table(_frame(value)._replace(column=column), show)
    if source.exact and source.name == "Series":
        return read_column(only_column("polars Series", len(value), _column(value)), show)
    return None


def _column(series: Any) -> Column:
    dtype = series.dtype
    if not is_own(dtype, "polars"):
        return Column(series.name, type_words(dtype))

    def part(i: int, j: int) -> Any:
        return series[i:j].to_list()

    compared = None if dtype.is_nested() else part
    return Column(series.name, str(dtype), series.__getitem__, compared, series.null_count)


def _plain_column(series: Any) -> Column:
    """Without a column of Python objects, which is not shown in a table."""
    column = _column(series)
    hidden = column.at and series.dtype.is_object()
    return Column(series.name, type_words(series.dtype)) if hidden else column


def _frame(frame: Any) -> Table:
    names = frame.columns

    def column(i: int) -> Column:
        return _plain_column(frame.to_series(i))

    return Table("polars DataFrame", frame.height, frame.width, names.__getitem__, column)


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


def _item(value: Any, key: Any, name: str) -> object:
    whole = exactly(key, slice) and key.step is None
    single = {"DataFrame": str, "Series": int}.get(name)
    return plain_item(value, key, name, single is not None and (whole or exactly(key, single)))


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
    item=_item,
)
