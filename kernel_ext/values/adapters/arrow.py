"""Tables, arrays and data sets of PyArrow: a data set is not read."""

import sys
from collections.abc import Iterable
from typing import Any

from ..adapter import (
    MAX_LISTED,
    Adapter,
    Column,
    Origin,
    Reading,
    ShowValue,
    Table,
    first_texts,
    is_own,
    library_title,
    only_column,
    plain_item,
)
from ..introspect import clip, exactly, type_words
from .tables import NULL_ROWS, read_column, read_table


def _reading(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    if not source.exact:
        return None
    title = library_title(value, source)
    if source.name in ("Table", "RecordBatch"):
        return read_table(_table(value)._replace(title=title), show)
    if source.name.endswith("Array"):
        return read_column(only_column(title, len(value), _column(None, value)), show)
    if source.name.endswith("Dataset"):
        texts = (f"{clip(field.name)} {field.type}" for field in value.schema)
        return Reading(f"{title}, not read: {first_texts(texts, MAX_LISTED)}")
    return None


def _fingerprint(value: object, base: type) -> object:
    return 0


def _column(name: object, held: Any) -> Column:
    nested = sys.modules["pyarrow"].types.is_nested(held.type)
    if nested or not is_own(held.type, "pyarrow"):  # extension types have their own code
        return Column(name, type_words(held.type))

    def at(row: int) -> object:
        return held[row].as_py()

    def part(i: int, j: int) -> Any:
        return held.slice(i, j - i).to_pylist()

    nulls = (lambda: held.null_count) if len(held) <= NULL_ROWS else None
    return Column(name, str(held.type), at, part, nulls)


def _table(table: Any) -> Table:
    names = table.schema.names
    height, width = table.shape

    def column(i: int) -> Column:
        return _column(names[i], table.column(i))

    return Table("pyarrow Table", height, width, names.__getitem__, column)


def _labels(value: Any, name: str) -> Iterable[object]:
    return value.schema.names if name in ("Table", "RecordBatch") else ()


def _item(value: Any, key: Any, name: str) -> object:
    whole = exactly(key, slice) and key.step is None
    single = {"Table": str, "ChunkedArray": int}.get(name)
    return plain_item(value, key, name, single is not None and (whole or exactly(key, single)))


ARROW = Adapter(
    packages=("pyarrow",),
    reading=_reading,
    fingerprint=_fingerprint,
    tables={"Table": _table, "RecordBatch": _table},
    labels=_labels,
    attributes={
        "Table": frozenset(("schema", "column_names", "num_rows", "num_columns", "shape")),
    },
    item=_item,
)
