"""Reads values of known libraries: pandas, numpy, polars and others. Runs no user code.

A class is a library's own only if the module it names as its home holds that very class, so a
look-alike is an ordinary instance. Library code runs on a library's exact types alone; a subclass
is read through its stored state.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple, cast

from .introspect import at_home, clip, exactly, is_a, mro, peek, type_name, type_words
from .libraries import (
    read_dask,
    read_dataset,
    read_duckdb,
    read_os,
    read_sklearn,
    read_sqlalchemy,
    read_xarray,
)
from .reading import (
    FIRST_VALUES,
    Origin,
    Reading,
    ReadingEntry,
    ShowValue,
    is_own,
    library_title,
    shape_text,
)

SHOWN_COLUMNS, SHOWN_ROWS = 24, 5
"""Columns and rows of a table that are shown."""
NULL_ROWS, NULL_OBJECT_ROWS = 200_000, 10_000
"""Nulls are counted up to this many rows; in columns of Python objects up to the second figure."""
RANGE_SIZE = 1_000_000
"""Minimum and maximum of an array are computed up to this many elements."""


class _Column(NamedTuple):
    """`at`: the value in a row; None where reading one might run foreign code. `nulls`: counts."""

    label: object
    dtype: str
    at: Callable[[int], object] | None = None
    nulls: Callable[[], int] | None = None


def origin(value: object) -> Origin | None:
    """The nearest class of `value` that a reader here knows and that is what it says it is."""
    for base in mro(type(value)):
        module, name = type_name(base)
        package = module.partition(".")[0]
        if package in _READERS and at_home(base):
            return Origin(package, name, base is type(value))
    return None


def read(value: object, show: ShowValue) -> Reading | None:
    """How a known library's object looks; None for any other. Raises what the library raises.

    Elements are taken by position; passes over the data stay below `NULL_ROWS`,
    `NULL_OBJECT_ROWS` and `RANGE_SIZE`. Nothing lazy is computed.
    """
    source = origin(value)
    return _READERS[source.package](value, source, show) if source else None


def _first(size: int, text: Callable[[int], str]) -> str:
    return ", ".join(map(text, range(min(size, FIRST_VALUES)))) + (
        ", …" if size > FIRST_VALUES else ""
    )


def _table(
    title: str,
    shape: tuple[int, int],
    column: Callable[[int], _Column],
    row_label: Callable[[int], object],
    show: ShowValue,
) -> Reading:
    rows, width = shape

    def cells(column: _Column, *rows: int) -> str:
        return ", ".join(show(column.at(row)) for row in rows) if column.at else "(not read)"

    def entries() -> Iterator[ReadingEntry]:
        columns = [column(i) for i in range(min(width, SHOWN_COLUMNS))]
        samples = sorted({0, rows // 2, rows - 1}) if rows else []
        for each in columns:
            nulls = f", {each.nulls():,} null" if each.nulls else ""
            yield clip(f"{show(each.label)}: {each.dtype}{nulls}; {cells(each, *samples)}", 110)
        if width > SHOWN_COLUMNS:
            yield f"… {width - SHOWN_COLUMNS:,} more columns"
        for row in range(min(rows, SHOWN_ROWS)):
            yield f"row {show(row_label(row))}: {' | '.join(cells(c, row) for c in columns[:8])}"

    def heading(i: int) -> str:
        each = column(i)
        return f"{show(each.label)} {each.dtype}"

    return Reading(f"{title} {shape_text(shape)}: {_first(width, heading)}", entries())


def _vector(
    title: str, column: _Column, rows: int, row_label: Callable[[int], object], show: ShowValue
) -> Reading:
    name = "" if column.label is None else f" {show(column.label)}"
    head = f"{title}{name} of {rows:,} {column.dtype}: "
    at = column.at
    if at is None:
        return Reading(f"{head}(not read)")

    def entries() -> Iterator[ReadingEntry]:
        if column.nulls:
            yield f"{column.nulls():,} null"
        yield from ((f"{show(row_label(i))}: ", at(i)) for i in range(min(rows, 2 * SHOWN_ROWS)))

    return Reading(head + _first(rows, lambda i: show(at(i))), entries())


def is_index(value: object) -> bool:
    """Whether it is of pandas' own Index or a subclass."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and is_a(value, pandas.Index)


def plain_array(array: Any) -> bool:
    """Whether dtype and elements of an array or index can be read without foreign code.

    It has to be numpy's or pandas' own, down to a time zone and the levels of a MultiIndex.
    """
    if not is_own(array, "pandas", "numpy"):
        return False
    if hasattr(array, "levels"):
        return all(map(plain_array, array.levels))
    if is_index(array):  # a RangeIndex, which has a step, would fill its array
        return hasattr(array, "step") or plain_array(backing(array))
    zone: object = getattr(getattr(array.dtype, "subtype", array.dtype), "tz", None)
    return zone is None or is_own(zone, "datetime", "zoneinfo", "pytz", "dateutil")


def backing(held: Any, i: int = 0) -> object:
    """What an Index, a Series or column `i` of a DataFrame stores, as it is.

    pandas' public ways there make a view or a Series of it, which runs a foreign array's code.
    """
    if is_index(held):
        return held._data
    blocks = held._mgr.blocks
    return blocks[held._mgr.blknos[i] if len(blocks) > 1 else 0].values


def element(array: Any, i: int) -> object:
    """One element by position, `unboxed`."""
    return unboxed(array[i])


def unboxed(held: Any) -> object:
    """numpy's numbers as Python's, also in a tuple; all else as it is."""
    if exactly(held, tuple):
        return tuple(map(unboxed, held))
    scalar = is_own(held, "numpy") and is_a(held, sys.modules["numpy"].generic)
    return held.item() if scalar and held.dtype.kind in "biufc" else held


def _pandas(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    title, name = library_title(value, source), source.name
    if name in ("DataFrame", "Series"):
        if not source.exact:  # pandas' own type over the same memory
            blocks: Any = peek(value, "_mgr")
            if not is_own(blocks, "pandas"):
                return None
            same = getattr(sys.modules["pandas"], name)._from_mgr(blocks, blocks.axes)
            object.__setattr__(same, "_name", peek(value, "_name"))
            value = same
        if not all(map(plain_array, value.axes)):
            return Reading(f"{title} with labels of a foreign type (not read)")
        return (_frame if name == "DataFrame" else _series)(value, title, show)
    if not source.exact:
        return None
    if is_index(value):
        if not plain_array(value):
            return Reading(f"{title} of a foreign type (not read)")
        column = _pandas_column(None, value)
        return _vector(title, column._replace(nulls=None), len(value), int, show)
    if name in ("NaTType", "NAType"):
        return Reading(name.removesuffix("Type"))
    if name == "Interval":
        return Reading(f"Interval {value.closed} {show(value.left)} … {show(value.right)}")
    return Reading(f"{name} {value}") if name == "Period" or name.endswith("Dtype") else None


def _pandas_column(name: object, array: Any) -> _Column:
    if not plain_array(array):
        return _Column(name, type_words(array))
    return _Column(name, str(array.dtype), partial(element, array), _nulls(array))


def _nulls(array: Any) -> Callable[[], int] | None:
    pandas: Any = sys.modules["pandas"]
    values = getattr(array, "_ndarray", array)
    if not (is_own(values, "numpy") and values.dtype.kind == "O"):
        return (lambda: int(array.isna().sum())) if len(array) <= NULL_ROWS else None

    def null(held: object) -> bool:  # isna would ask each object for its class
        missing = held is None or held is pandas.NA or held is pandas.NaT
        return missing or (type(held) is float and held != held)

    return (lambda: sum(map(null, values))) if len(array) <= NULL_OBJECT_ROWS else None


def _frame(frame: Any, title: str, show: ShowValue) -> Reading:
    def column(i: int) -> _Column:
        name, array = element(frame.columns, i), backing(frame, i)
        return _pandas_column(name, frame.iloc[:, i].array if plain_array(array) else array)

    head, entries = _table(title, frame.shape, column, partial(element, frame.index), show)
    return Reading(head, chain([("index: ", frame.index)], entries))


def _series(series: Any, title: str, show: ShowValue) -> Reading:
    array = backing(series)
    array = series.array if plain_array(array) else array
    column = _pandas_column(unboxed(series.name), array)
    return _vector(title, column, len(series), partial(element, series.index), show)


def _numpy(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    numpy: Any = sys.modules["numpy"]
    if is_a(value, numpy.ndarray):
        return _array(numpy.ndarray.view(value, numpy.ndarray), library_title(value, source), show)
    if not source.exact:
        return None
    if is_a(value, numpy.dtype):
        return Reading(f"dtype {_dtype(value)}")
    if is_a(value, numpy.generic) and not (is_a(value, str) or is_a(value, bytes)):
        text = str(value) if value.dtype.kind in "Mm" else show(value.item())
        return Reading(f"{source.name} {text}")
    return None


def _dtype(dtype: Any) -> str:
    # the text of a structured type has its titles in it, which may be any object
    return str(dtype) if dtype.names is None else f"record of {', '.join(map(clip, dtype.names))}"


def _array(array: Any, title: str, show: ShowValue) -> Reading:
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
    return Reading(head + _first(len(values), lambda i: show(values[i])), entries())


def _polars(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    title = library_title(value, source)
    if source.name == "LazyFrame":
        return Reading(f"{title}, not computed")

    def column(series: Any) -> _Column:
        if not is_own(series.dtype, "polars"):
            return _Column(series.name, type_words(series.dtype))
        return _Column(series.name, str(series.dtype), series.__getitem__, series.null_count)

    if source.exact and source.name == "DataFrame":
        return _table(title, value.shape, lambda i: column(value.to_series(i)), int, show)
    if source.exact and source.name == "Series":
        return _vector(title, column(value), len(value), int, show)
    return None


def _pyarrow(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    title = library_title(value, source)

    def column(name: object, array: Any) -> _Column:
        nested = sys.modules["pyarrow"].types.is_nested(array.type)
        if nested or not is_own(array.type, "pyarrow"):  # extension types have their own code
            return _Column(name, type_words(array.type))

        def at(row: int) -> object:
            return array[row].as_py()

        nulls = (lambda: array.null_count) if len(array) <= NULL_ROWS else None
        return _Column(name, str(array.type), at, nulls)

    if source.exact and source.name in ("Table", "RecordBatch"):
        names = value.schema.names
        return _table(title, value.shape, lambda i: column(names[i], value.column(i)), int, show)
    if source.exact and source.name.endswith("Array"):
        return _vector(title, column(None, value), len(value), int, show)
    return read_dataset(value, source) if source.exact and source.name.endswith("Dataset") else None


def _torch(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    if not source.exact or source.name not in ("Tensor", "Parameter"):
        return None
    head = f"{library_title(value, source)} {shape_text(value.shape)} {value.dtype}"
    head += f" on {value.device.type}"
    head += ", requires grad" if value.requires_grad else ""
    near = value.device.type == "cpu" and str(value.layout) == "torch.strided"
    if not (near and value.is_contiguous()):  # reading values would copy them all, or wait
        return Reading(head)
    values = value.detach().view(-1)[: FIRST_VALUES + 1].tolist()
    return Reading(f"{head}: {_first(len(values), lambda i: show(values[i]))}")


def _matplotlib(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    title = library_title(value, source)
    axes, artists = (cast("list[object]", peek(value, key)) for key in ("_localaxes", "_children"))
    if exactly(axes, list):
        return Reading(f"{title} with {len(axes)} axes", (("axes ", each) for each in axes))
    if not exactly(artists, list):
        return None
    texts = {"title": ("title",), "x": ("xaxis", "label"), "y": ("yaxis", "label")}
    words = ", ".join(f"{n} {show(peek(value, *path, '_text'))}" for n, path in texts.items())
    counts = Counter(map(type_words, islice(artists, 1_000)))
    kinds = ", ".join(f"{n} {kind.rpartition('.')[2]}" for kind, n in counts.items())
    return Reading(f"{title} {words}; {kinds}")


def _pil(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    size = peek(value, "_size")
    return Reading(
        f"{library_title(value, source)} size {show(size)} mode {show(peek(value, '_mode'))}"
    )


def _pathlib(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    return Reading(f"{source.name} {show(str(value))}") if source.exact else None


_READERS: Mapping[str, Callable[[Any, Origin, ShowValue], Reading | None]] = {
    "pandas": _pandas,
    "numpy": _numpy,
    "polars": _polars,
    "pyarrow": _pyarrow,
    "torch": _torch,
    "matplotlib": _matplotlib,
    "PIL": _pil,
    "pathlib": _pathlib,
    "sklearn": read_sklearn,
    "xarray": read_xarray,
    "dask": read_dask,
    "duckdb": read_duckdb,
    "_duckdb": read_duckdb,
    "sqlalchemy": read_sqlalchemy,
    "os": read_os,
}
