"""Values of a plot's JSON in short: numbers by their range, records by their first rows.

Each function takes any JSON, and does bounded work.
"""

import json
import sys
import zlib
from array import array
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

JsonObject = Mapping[str, Any]

FIRST_NUMBERS, FIRST_ROWS = 5, 5
"""Values and rows that are shown, at most."""
MAX_RECORD_FIELDS, MAX_WORD_CHARS = 30, 60
"""Columns of a row, and characters of a value, at most."""
MAX_NUMBERS = 50_000
"""Numbers that are read for a range, at most."""
MAX_NODES = 100_000
"""Objects and lists that are searched, at most."""
_GZIP = b"\x1f\x8b"
_MAX_DEPTH, _MAX_ITEMS, _MAX_TEXT = 5, 20, 200

_CODES = {
    **{"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"},
    **{"f4": "f", "f8": "d", "float32": "f", "float64": "d", "bool": "B", "int8": "b"},
    **{"uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q"},
}
"""Types of numbers as plotly and Bokeh name them, with Python's own codes."""


def object_of(value: object) -> JsonObject:
    """A JSON object. Any other value is one without members."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """A JSON list. Any other value is an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


class Series:
    """The values of an axis or a column: how many, and the first of them."""

    def __init__(self, count: int, values: Sequence[Any]) -> None:
        self.count = count
        self.values = values

    def __str__(self) -> str:
        flat = self.values[:MAX_NUMBERS]
        if list in set(map(type, flat)):
            flat = list(islice(_flat(flat), MAX_NUMBERS))
        shown = ", ".join(map(value_text, flat[:FIRST_NUMBERS]))
        rest = ", …" if max(self.count, len(flat)) > FIRST_NUMBERS else ""
        numbers = [value for value in flat if value is not None and value == value]
        if not numbers or not set(map(type, numbers)) <= {int, float}:
            return f"{self.count:,} values: {shown}{rest}"
        low, high = value_text(min(numbers)), value_text(max(numbers))
        of = f" in the first {MAX_NUMBERS:,}" if len(flat) == MAX_NUMBERS else ""
        return f"{self.count:,} numbers, {low} … {high}{of}: {shown}{rest}"


def series_of(value: object) -> Series | None:
    """A list, or numbers in base64 as plotly and Bokeh send them. None for other values."""
    values, held = list_of(value), object_of(value)
    if values or value == []:
        return Series(len(values), values)
    match held.get("dtype"), held.get("array"), held.get("bdata", held.get("__ndarray__")):
        case _, list(), _:
            return series_of(held["array"])
        case str(kind), {"data": str(encoded)}, _:
            return _decoded(kind, encoded, next(iter(list_of(held.get("shape"))), None))
        case str(kind), _, str(encoded):
            return _decoded(kind, encoded)
        case _:
            return None


def _decoded(kind: str, encoded: str, count: int | None = None) -> Series | None:
    """Numbers in base64, which may be compressed. `count`: how many, if that is known."""
    if kind not in _CODES:
        return None
    numbers: array[Any] = array(_CODES[kind])
    size, most = numbers.itemsize, MAX_NUMBERS * numbers.itemsize
    try:
        data = b64decode(encoded[: 2 * most])
        if data.startswith(_GZIP):
            data = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, most)
    except (ValueError, zlib.error):
        return None
    numbers.frombytes(data[: min(most, len(data) // size * size)])
    if sys.byteorder == "big":
        numbers.byteswap()
    stored = (len(encoded) * 3 // 4 - encoded[-2:].count("=")) // size
    return Series(stored if count is None else count, numbers)


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    """The values, and those of lists among them."""
    for value in values:
        if isinstance(value, list):
            yield from cast("list[Any]", value)
        else:
            yield value


def value_text(value: object) -> str:
    """One value, in few characters."""
    match value:
        case float():
            return f"{value:.6g}"
        case str():
            line = " ".join(value[: 2 * MAX_WORD_CHARS].split())
            return line if len(line) <= MAX_WORD_CHARS else f"{line[: MAX_WORD_CHARS - 1]}…"
        case None:
            return "null"
        case dict() | list():
            return value_text(pruned(cast("object", value), 2))
        case _:
            return str(value)[:MAX_WORD_CHARS]


def rows_text(rows: list[Any]) -> str:
    """How many records there are, their columns, and the first of them."""
    first = [row for row in map(object_of, rows[:FIRST_ROWS]) if row]
    if not first:
        return str(Series(len(rows), rows))
    names = list(islice(dict.fromkeys(key for row in first for key in row), MAX_RECORD_FIELDS))
    lines = [" | ".join(value_text(row.get(name)) for name in names) for row in first]
    return "\n".join([f"{len(rows):,} rows of {' | '.join(map(value_text, names))}", *lines])


def title_of(value: object) -> str:
    """A title: a text, a list of lines, or an object with its `text`."""
    if isinstance(value, str):
        return value_text(value)
    lines = list_of(value)[:FIRST_NUMBERS] or [object_of(value).get("text", "")]
    return " ".join(value_text(line) for line in lines if isinstance(line, str))


def objects_in(value: object, *skipped: str) -> Iterator[JsonObject]:
    """The objects in a JSON value, the outer before the inner ones. Not those in `skipped` keys."""
    waiting = [value]
    for _ in range(MAX_NODES):
        if not waiting:
            return
        held = waiting.pop()
        waiting += reversed(list_of(held))
        if isinstance(held, dict):
            named = object_of(cast("object", held))
            yield named
            waiting += [it for key, it in [*named.items()][::-1] if key not in skipped]


def pruned(value: object, depth: int = _MAX_DEPTH) -> str:
    """JSON text of a value, without what is long or deep in it."""
    return json.dumps(_pruned(value, depth), ensure_ascii=False, default=str)


def _pruned(value: object, depth: int) -> object:
    match value:
        case str():
            return value if len(value) <= _MAX_TEXT else f"{value[:_MAX_TEXT]}…"
        case dict() | list() if not depth:
            return "…"
        case dict():
            held = object_of(cast("object", value))
            few = {key: _pruned(it, depth - 1) for key, it in islice(held.items(), _MAX_ITEMS)}
            return few | ({"…": f"{len(held) - _MAX_ITEMS} more"} if len(held) > _MAX_ITEMS else {})
        case list():
            items = list_of(cast("object", value))
            some = [_pruned(it, depth - 1) for it in items[:_MAX_ITEMS]]
            return some + ([f"… {len(items) - _MAX_ITEMS} more"] if len(items) > _MAX_ITEMS else [])
        case _:
            return value
