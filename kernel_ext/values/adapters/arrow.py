"""Reads tables and arrays of PyArrow. Of a data set it reads only the schema."""

import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
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
    frame_item,
    is_own,
    only_column,
)
from ..introspect import clip, type_words
from .tables import NULL_ROWS, read_column, read_table


def _reading(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    if not source.exact:
        return None
    title = source.title
    if source.name in ("Table", "RecordBatch"):
        return read_table(replace(_table(value), title=title), show)
    if source.name.endswith("Array"):
        return read_column(only_column(title, len(value), _column(None, value)), show)
    if source.name.endswith("Dataset"):
        texts = (f"{clip(field.name)} {field.type}" for field in value.schema)
        return Reading(f"{title}, not read: {first_texts(texts, MAX_LISTED)}")
    return None


def _column(name: object, held: Any) -> Column:
    nested = sys.modules["pyarrow"].types.is_nested(held.type)
    if nested or not is_own(held.type, "pyarrow"):  # extension types have their own code
        return Column(name, type_words(held.type))

    return Column(
        name,
        str(held.type),
        at=lambda row: held[row].as_py(),
        part=lambda i, j: held.slice(i, j - i).to_pylist(),
        nulls=(lambda: held.null_count) if len(held) <= NULL_ROWS else None,
    )


def _table(table: Any) -> Table:
    names = table.schema.names
    height, width = table.shape
    label = names.__getitem__
    return Table(
        "pyarrow Table", height, width, label, lambda i: _column(names[i], table.column(i))
    )


def _labels(value: Any, name: str) -> Iterable[object]:
    return value.schema.names if name in ("Table", "RecordBatch") else ()


ARROW = Adapter(
    packages=("pyarrow",),
    reading=_reading,
    fingerprint=lambda value, kind: 0,
    tables={"Table": _table, "RecordBatch": _table},
    labels=_labels,
    attributes={
        "Table": frozenset(("schema", "column_names", "num_rows", "num_columns", "shape")),
    },
    item=partial(frame_item, single={"Table": str, "ChunkedArray": int}),
)
