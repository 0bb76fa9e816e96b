"""Reads frames, arrays and plain rows as one kind of table, cell by cell. Runs no user code.

It reads only exact types of the libraries, and only columns with the library's own dtypes. It
computes nothing lazy.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import islice
from types import NoneType
from typing import Any, cast

from .adapter import FOREIGN, Column, NoTable, Table, is_own_zone
from .adapters.evidence import is_array
from .adapters.numpy import cut, element
from .describe import short
from .introspect import dict_items, exactly, find_item, type_words
from .libraries import known, known_exactly

SAMPLED_ROWS = 100
"""Rows of a list of dicts that are searched for its columns."""
MAX_COLUMN_KEYS = 1_000
"""Keys of a dict that are read as columns, at most."""


def table_of(value: Any) -> Table:
    """The value as a table. Raises NoTable, and any error of the library."""
    found = known(value)
    if found:
        adapter, source = found
        kind = f"{source.package} {source.name}"
        if "*" in adapter.lazy or source.name in adapter.lazy:
            raise NoTable(f"is lazy ({kind}): it is not computed here; use run_cell, with a limit.")
        read = adapter.tables.get(source.name)
        held = value if source.exact else adapter.as_own(value, source.name)
        if read and held is not None:
            return read(held)
        if read:
            raise NoTable(f"is a subclass of {kind}, whose own code might run; use run_cell.")
    if exactly(value, list, tuple) and value and exactly(value[0], dict):
        return _rows(value)
    if exactly(value, dict):
        return _columns(value)
    raise NoTable(f"is {_article(type_words(value))}, which is no table; inspect shows what it is.")


def label_text(label: object) -> str:
    """The name of a column: its label if that is a text, else the label in words."""
    return label if type(label) is str else short(label)


def plain(value: Any) -> object:
    """A value to compare: None if it is missing, FOREIGN if its own code might run."""
    kind = type(cast("object", value))
    if kind is float:
        return None if value != value else value
    if id(kind) in _PLAIN:
        return value
    if kind is datetime:
        return value if is_own_zone(value.tzinfo) else FOREIGN
    found = known_exactly(value)
    return found[0].scalar(value) if found else FOREIGN


def _article(text: str) -> str:
    return f"{'an' if text[:1] in 'aeiou' else 'a'} {text}"


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
            pairs = dict_items(held) if exactly(held, dict) else ()
            return find_item(islice(pairs, MAX_COLUMN_KEYS), names[i])

        return Column(names[i], "any", at, lambda start, end: map(at, range(start, end)))

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
            return Column(pairs[i][0], "any", array.__getitem__, lambda i, j: array[i:j])
        return Column(pairs[i][0], str(array.dtype), partial(element, array), partial(cut, array))

    return Table("dict of lists", heights.pop(), len(pairs), lambda i: pairs[i][0], column)


def _is_list(held: Any) -> bool:
    if exactly(held, list, tuple):
        return True
    return is_array(held) and held.ndim == 1 and held.dtype.kind in "biufcSUMmO"


_PLAIN = frozenset(map(id, (int, bool, str, bytes, date, timedelta, Decimal, NoneType)))
