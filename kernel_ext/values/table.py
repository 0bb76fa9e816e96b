"""Frames, arrays and plain rows as one kind of table, read cell by cell. Runs no user code.

Only exact types of the libraries are read, and of their columns those with the library's own
dtypes. Nothing lazy is computed.
"""

import sys
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from itertools import islice
from types import NoneType
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo

from .describe import short
from .introspect import dict_items, exactly, find_item, is_a, type_words
from .reading import is_own
from .table_filter import FOREIGN
from .tables_and_arrays import backing, element, origin, plain_array

SAMPLED_ROWS = 100
"""Rows of a list of dicts in which its columns are looked for."""
MAX_COLUMN_KEYS = 1_000
"""Keys of a dict that are taken for columns."""


class Column(NamedTuple):
    """`at`: the value of a row, `part`: those of rows `i` to `j`, for comparisons.

    They are None where reading might run foreign code.
    """

    label: object
    dtype: str
    at: Callable[[int], object] | None = None
    part: Callable[[int, int], Iterable[object]] | None = None


class Table(NamedTuple):
    """`title` in words; `label(i)` and `column(i)` of one column, `row(i)` the label of a row."""

    title: str
    height: int
    width: int
    label: Callable[[int], object]
    column: Callable[[int], Column]
    row: Callable[[int], object] = int


class NoTable(Exception):
    """The value is no table, or none that is read here; its text is the rest of a sentence."""


def table_of(value: Any) -> Table:
    """The value as a table. Raises NoTable, and what the library raises."""
    source = origin(value)
    if source:
        kind = f"{source.package} {source.name}"
        if source.package in _LAZY or source.name in ("LazyFrame", "LazyGroupBy"):
            raise NoTable(f"is lazy ({kind}): it is not computed here; use run_cell, with a limit.")
        read = _READERS.get(f"{source.package}.{source.name}")
        if read and source.exact:
            return read(value)
        if read:
            raise NoTable(f"is a subclass of {kind}, whose own code might run; use run_cell.")
    if exactly(value, list, tuple) and value and exactly(value[0], dict):
        return _rows(value)
    if exactly(value, dict):
        return _columns(value)
    raise NoTable(f"is {_article(type_words(value))}, which is no table; inspect shows what it is.")


def label_text(label: object) -> str:
    """How a column is called: its label if that is a text, else what is shown of it."""
    return label if type(label) is str else short(label)


def plain(value: Any) -> object:
    """A value for comparisons: None if it is missing, FOREIGN if its own code might run."""
    kind = type(cast("object", value))
    if kind is float:
        return None if value != value else value
    if id(kind) in _PLAIN:
        return value
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None and (value is pandas.NA or value is pandas.NaT):
        return None
    if kind is datetime or (pandas is not None and kind is pandas.Timestamp):
        zone: object = value.tzinfo
        own = zone is None or exactly(zone, timezone, ZoneInfo)
        return value if own or is_own(zone, "pytz", "dateutil") else FOREIGN
    if is_own(value, "numpy"):
        numpy: Any = sys.modules["numpy"]
        number = is_a(value, numpy.generic) and value.dtype.kind in "biufUM"
        return plain(value.item()) if number else FOREIGN
    return FOREIGN


def _article(text: str) -> str:
    return f"{'an' if text[:1] in 'aeiou' else 'a'} {text}"


def _pandas_frame(frame: Any) -> Table:
    if not all(map(plain_array, frame.axes)):
        raise NoTable("has labels of a foreign type, whose code might run; use run_cell.")

    def column(i: int) -> Column:
        array, label = backing(frame, i), element(frame.columns, i)
        own = plain_array(array)
        return _pandas_column(label, frame.iloc[:, i].array if own else array)

    height, width = frame.shape
    labels, rows = partial(element, frame.columns), partial(element, frame.index)
    return Table("pandas DataFrame", height, width, labels, column, rows)


def _pandas_series(series: Any) -> Table:
    array = backing(series)
    if not plain_array(series.index):
        raise NoTable("has labels of a foreign type, whose code might run; use run_cell.")
    name = "value" if series.name is None else series.name
    column = _pandas_column(name, series.array if plain_array(array) else array)
    rows = partial(element, series.index)
    return _single("pandas Series", len(series), column, rows)


def _single(title: str, height: int, column: Column, row: Callable[[int], object] = int) -> Table:
    def label(_: int) -> object:
        return column.label

    def only(_: int) -> Column:
        return column

    return Table(title, height, 1, label, only, row)


def _pandas_column(label: object, array: Any) -> Column:
    if not plain_array(array):
        return Column(label, type_words(array))
    bare = is_own(array.dtype, "numpy") or type_words(array).endswith(".NumpyExtensionArray")
    part = partial(_cut, getattr(array, "_ndarray", array) if bare else array)
    return Column(label, str(array.dtype), partial(element, array), part)


def _cut(array: Any, i: int, j: int) -> Iterable[object]:
    held = array[i:j]
    if is_own(held, "numpy") and held.dtype.kind in "Mm":  # nanoseconds would become numbers
        held = held.astype(f"{held.dtype.kind}8[us]")
    return held.tolist()


def _numpy(array: Any) -> Table:
    names: Any = array.dtype.names
    if names and array.ndim == 1:
        columns = [array[name] for name in names[:MAX_COLUMN_KEYS]]
    elif array.ndim in (1, 2):
        columns = None
        names = range(array.shape[1] if array.ndim == 2 else 1)
    else:
        raise NoTable(f"has {array.ndim} dimensions; inspect shows parts of it.")

    def column(i: int) -> Column:
        held = columns[i] if columns else array[:, i] if array.ndim == 2 else array
        if held.dtype.kind not in "biufcSUMmO" or held.ndim != 1:
            return Column(names[i], "record")
        return Column(names[i], str(held.dtype), partial(element, held), partial(_cut, held))

    return Table("numpy ndarray", len(array), len(names), names.__getitem__, column)


def _polars_column(series: Any) -> Column:
    dtype = series.dtype
    if not is_own(dtype, "polars") or dtype.is_object():
        return Column(series.name, type_words(dtype))

    def part(i: int, j: int) -> Any:
        return series[i:j].to_list()

    return Column(series.name, str(dtype), series.__getitem__, None if dtype.is_nested() else part)


def _polars_frame(frame: Any) -> Table:
    names = frame.columns

    def column(i: int) -> Column:
        return _polars_column(frame.to_series(i))

    return Table("polars DataFrame", frame.height, frame.width, names.__getitem__, column)


def _polars_series(series: Any) -> Table:
    column = _polars_column(series)
    return _single("polars Series", len(series), column)


def _arrow(table: Any) -> Table:
    names = table.schema.names

    def column(i: int) -> Column:
        held = table.column(i)
        nested = sys.modules["pyarrow"].types.is_nested(held.type)
        if nested or not is_own(held.type, "pyarrow"):  # extension types have their own code
            return Column(names[i], type_words(held.type))

        def at(row: int) -> object:
            return held[row].as_py()

        def part(i: int, j: int) -> Any:
            return held.slice(i, j - i).to_pylist()

        return Column(names[i], str(held.type), at, part)

    height, width = table.shape
    return Table("pyarrow Table", height, width, names.__getitem__, column)


def _rows(rows: Any) -> Table:
    first = [each for each in rows[:SAMPLED_ROWS] if exactly(each, dict)]
    names: list[str] = list(
        dict.fromkeys(
            key
            for each in first
            for key, _ in islice(dict_items(each), MAX_COLUMN_KEYS)
            if type(key) is str
        )
    )

    def column(i: int) -> Column:
        def at(row: int) -> object:
            held = rows[row]
            return (
                find_item(islice(dict_items(held), MAX_COLUMN_KEYS), names[i])
                if exactly(held, dict)
                else None
            )

        def part(start: int, end: int) -> Iterable[object]:
            return map(at, range(start, end))

        return Column(names[i], "any", at, part)

    return Table(f"{type_words(rows)} of dicts", len(rows), len(names), names.__getitem__, column)


def _columns(held: Any) -> Table:
    pairs = list(islice(dict_items(held), MAX_COLUMN_KEYS))
    arrays: list[Any] = [each for _, each in pairs]
    heights = {len(each) for each in arrays if _is_list(each)}
    if len(heights) != 1 or not all(map(_is_list, arrays)):
        raise NoTable("is a dict that is not of lists of one length; inspect shows what it holds.")

    def column(i: int) -> Column:
        array = arrays[i]
        if exactly(array, list, tuple):

            def part(i: int, j: int) -> Any:
                return array[i:j]

            return Column(pairs[i][0], "any", array.__getitem__, part)
        return Column(pairs[i][0], str(array.dtype), partial(element, array), partial(_cut, array))

    def label(i: int) -> object:
        return pairs[i][0]

    return Table("dict of lists", heights.pop(), len(pairs), label, column)


def _is_list(held: Any) -> bool:
    if exactly(held, list, tuple):
        return True
    numpy = sys.modules.get("numpy")
    array = numpy is not None and type(held) is numpy.ndarray and held.ndim == 1
    return array and held.dtype.kind in "biufcSUMmO"


_PLAIN = frozenset(map(id, (int, bool, str, bytes, date, timedelta, Decimal, NoneType)))
_LAZY = frozenset(("dask", "duckdb", "_duckdb", "sqlalchemy"))
_READERS: dict[str, Callable[[Any], Table]] = {
    "pandas.DataFrame": _pandas_frame,
    "pandas.Series": _pandas_series,
    "numpy.ndarray": _numpy,
    "polars.DataFrame": _polars_frame,
    "polars.Series": _polars_series,
    "pyarrow.Table": _arrow,
    "pyarrow.RecordBatch": _arrow,
}
