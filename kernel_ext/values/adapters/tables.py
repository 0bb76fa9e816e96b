"""Words for a table and for a column. Knows no library."""

from collections.abc import Iterator

from ..adapter import Column, Reading, ReadingEntry, ShowValue, Table, first_texts, shape_text
from ..introspect import clip

SHOWN_COLUMNS, SHOWN_ROWS = 24, 5
"""Columns and rows of a table that are shown, at most."""
NULL_ROWS = 200_000
"""Rows of a column. In a longer one, nulls are not counted."""


def read_table(table: Table, show: ShowValue) -> Reading:
    """A table's columns, with nulls and samples, and its first rows."""
    rows, width, column = table.height, table.width, table.column

    def cells(column: Column, *rows: int) -> str:
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
            yield f"row {show(table.row(row))}: {' | '.join(cells(c, row) for c in columns[:8])}"

    heads = first_texts(f"{show(each.label)} {each.dtype}" for each in map(column, range(width)))
    return Reading(f"{table.title} {shape_text((rows, width))}: {heads}", entries())


def read_column(table: Table, show: ShowValue) -> Reading:
    """A table of one column: its nulls and first values."""
    column, rows = table.column(0), table.height
    name = "" if column.label is None else f" {show(column.label)}"
    head = f"{table.title}{name} of {rows:,} {column.dtype}: "
    at = column.at
    if at is None:
        return Reading(f"{head}(not read)")

    def entries() -> Iterator[ReadingEntry]:
        if column.nulls:
            yield f"{column.nulls():,} null"
        yield from ((f"{show(table.row(i))}: ", at(i)) for i in range(min(rows, 2 * SHOWN_ROWS)))

    return Reading(head + first_texts(show(at(i)) for i in range(rows)), entries())
