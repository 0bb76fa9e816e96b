"""The tool `table`: chooses and filters rows of a live table without running code."""

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from time import perf_counter
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, Field

from ...agent.text.secret_names import is_secret
from ...agent.tools.schema import FieldsOf
from ...agent.tools.tool import Tool, ToolCall, ToolOutput, always, text_output
from ..values.adapter import Column, NoTable, Refused, Table
from ..values.describe import short
from ..values.introspect import clip, exactly, type_words
from ..values.paths import MAX_PATH_CHARS, follow
from ..values.redact import redacted
from ..values.table import FOREIGN, label_text, plain, table_of
from ..values.table_filter import Where, WhereError, parse_where
from ..values.watchdog import watching

MAX_ROWS, MAX_COLUMNS, MAX_ANSWER_CHARS = 50, 20, 12_000
"""Rows, columns and characters of one answer, at most."""
DEFAULT_COLUMNS = 12
"""Columns that are shown when none are chosen."""
MAX_TABLE_LABELS = 10_000
"""Labels that are compared to find a column, at most."""
MAX_FILTERED_ROWS, FILTER_CHUNK_ROWS, FILTER_SECONDS = 5_000_000, 1_000, 0.5
"""Rows that a filter reads in all and at a time, and the seconds that it may take."""


class TableRows(BaseModel):
    """Which rows to see."""

    name: str = Field(max_length=MAX_PATH_CHARS, description="the table, or a plain path to it")
    rows: str = Field(
        default="head",
        max_length=50,
        description="head, tail, head 5, or positions such as 100:120 or -5: among matching rows",
    )
    columns: list[str] = Field(
        default=[], max_length=MAX_COLUMNS, description="the columns to show, in order"
    )
    where: str | None = Field(
        default=None,
        description="only rows such as: price > 10 and city == 'Rome', `unit price` is None, "
        "'x' in name, kind in ['a', 'b']; columns and constants, no calls",
    )


DESCRIPTION = (
    "Rows of a live table (pandas, polars, pyarrow, a numpy array, a list of dicts, a dict of "
    "lists) without running code, with the number of rows that match. Nothing lazy is computed; "
    "for anything computed use run_cell. Code gets the rows as dicts."
)


R = TypeVar("R")


class _Refusal(Exception):
    """The request cannot be met. The text is a whole sentence."""


class _Matching(NamedTuple):
    """The positions of the matching rows, and the number of rows that were tested."""

    rows: Sequence[int]
    scanned: int


def table_tool(namespace: Callable[[], Mapping[str, object]]) -> Tool[TableRows]:
    """The tool `table` over the user's names. It calls `namespace` at each call."""

    async def run(_call: ToolCall, asked: TableRows) -> ToolOutput:
        path = clip(asked.name, 120)
        try:
            with watching():
                table = _read(table_of, follow(asked.name, namespace()))
                text, rows = _answer(asked, table)
                return replace(text_output(f"`{path}`: {text}"), value=rows)
        except (Refused, NoTable) as reason:
            return text_output(f"`{path}` {reason}", "error")
        except (_Refusal, WhereError) as reason:
            return text_output(str(reason), "error")

    return Tool(
        "table", DESCRIPTION, FieldsOf(TableRows), run, always("look"), returns="list[dict]"
    )


def _read(read: Callable[..., R], *arguments: object) -> R:
    """Call a library's reader. Raises NoTable, also when the library fails."""
    try:
        return read(*arguments)
    except NoTable:
        raise
    except Exception as error:
        raise NoTable(f"cannot be read ({type_words(error)}); use run_cell.") from None


def _answer(asked: TableRows, table: Table) -> tuple[str, list[dict[str, object]]]:
    """The text for the model, and the same rows as code gets them."""
    chosen = _chosen(asked.columns, table)
    matching = _Matching(range(table.height), table.height)
    if asked.where and asked.where.strip():
        matching = _matching(parse_where(asked.where), table)
    cut = _cut(asked.rows)
    places = range(len(matching.rows))[cut][:MAX_ROWS]
    head = f"{table.title} {table.height:,} × {table.width:,}; {_count(asked, table, matching)}"
    if not places:
        return f"{head}; no row to show", []
    of = " of these" if asked.where else ""
    shown = f"rows {places[0]}–{places[-1]}{of}" if len(places) > 1 else f"row {places[0]}{of}"
    lines = [f"{head}; {shown}:"]
    room = MAX_ANSWER_CHARS - len(lines[0])
    columns = [_read(table.column, i) for i in chosen]
    rows = [matching.rows[i] for i in places]
    values = [{label_text(it.label): _value(it, row) for it in columns} for row in rows]
    for line in _lines(table, columns, rows):
        room -= len(line) + 1
        if room < 0:
            return "\n".join([*lines, "… cut: ask for fewer rows or columns"]), values
        lines.append(line)
    if not asked.columns and table.width > len(chosen):
        lines.append(f"… {table.width - len(chosen):,} more columns: choose with `columns`")
    return "\n".join(lines), values


def _count(asked: TableRows, table: Table, matching: _Matching) -> str:
    if not asked.where:
        return f"{table.height:,} rows"
    found, scanned = f"{len(matching.rows):,}", f"{matching.scanned:,}"
    if matching.scanned == table.height:
        return f"{found} of {scanned} rows match"
    return f"{found} of the first {scanned} rows match; time was too short to read the others"


def _lines(table: Table, columns: Sequence[Column], rows: Sequence[int]) -> Iterator[str]:
    heads = (f"{clip(label_text(each.label), 60)} {clip(each.dtype, 40)}" for each in columns)
    yield " | ".join(["row", *heads])
    began = perf_counter()
    for row in rows:
        if perf_counter() - began > FILTER_SECONDS:
            yield "… the other rows are too slow to show"
            return
        yield " | ".join([short(_read(table.row, row)), *(_cell(each, row) for each in columns)])


def _value(column: Column, row: int) -> object:
    """The value for code: of Python's own types, or in words. None: it is missing or not read."""
    if column.at is None:
        return None
    try:
        value = redacted(column.label, column.at(row))
        found = plain(value)
    except Exception:  # of a library, as in the text
        return None
    if found is not FOREIGN:
        return found
    return value if exactly(value, list, tuple, dict) else short(value)


def _cell(column: Column, row: int) -> str:
    if column.at is None:
        return "(not read)"
    try:
        return short(redacted(column.label, column.at(row)))
    except Exception as error:
        return f"({type_words(error)})"


def _labels(table: Table) -> list[str]:
    return [label_text(_read(table.label, i)) for i in range(min(table.width, MAX_TABLE_LABELS))]


def _chosen(names: Sequence[str], table: Table) -> list[int]:
    if not names:
        return list(range(min(table.width, DEFAULT_COLUMNS)))
    labels = _labels(table)
    found = [[i for i, label in enumerate(labels) if label == name] for name in names]
    for name, places in zip(names, found, strict=True):
        if not places:
            raise _Refusal(_unknown(name, labels))
    return [i for places in found for i in places][:MAX_COLUMNS]


def _unknown(name: str, labels: Sequence[str]) -> str:
    near = get_close_matches(name[:80], labels, 3) or labels[:10]
    return f"There is no column {clip(name)!r}; there are {', '.join(map(clip, near))}."


def _matching(where: Where, table: Table) -> _Matching:
    parts = {name: _part(name, table) for name in where.columns}
    found, began, scanned = array("q"), perf_counter(), 0
    while (
        scanned < min(table.height, MAX_FILTERED_ROWS) and perf_counter() - began < FILTER_SECONDS
    ):
        end = min(scanned + FILTER_CHUNK_ROWS, table.height)
        values = {name: list(map(plain, _read(part, scanned, end))) for name, part in parts.items()}
        matches = where.test(values, end - scanned)
        found.extend(i for i, matched in enumerate(matches, scanned) if matched)
        scanned = end
    return _Matching(found, scanned)


def _part(name: str, table: Table) -> Callable[[int, int], Iterable[object]]:
    labels = _labels(table)
    places = [i for i, label in enumerate(labels) if label == name]
    if len(places) != 1:
        raise _Refusal(
            f"There are several columns {clip(name)!r}." if places else _unknown(name, labels)
        )
    column = _read(table.column, places[0])
    if is_secret(name):
        raise _Refusal(f"Column {clip(name)!r} is hidden: it cannot be searched.")
    if column.part is None:
        raise _Refusal(f"Column {clip(name)!r} is not read ({clip(column.dtype)}); use run_cell.")
    return column.part


def _cut(rows: str) -> slice:
    """The requested positions as a slice. Raises _Refusal."""
    text = rows.strip().lower()
    if end := re.fullmatch(r"(head|tail)(?:[ :(]*(\d{1,9})\)?)?", text):
        count = min(int(end[2] or 10), MAX_ROWS)
        return slice(count) if end[1] == "head" else slice(-count or MAX_ROWS, None)
    if span := re.fullmatch(r"(-?\d{1,15})?:(-?\d{1,15})?", text):
        return slice(*(None if each is None else int(each) for each in span.groups()))
    if re.fullmatch(r"-?\d{1,15}", text):
        return slice(int(text), int(text) + 1 or None)
    raise _Refusal(f"Rows are head, tail, or positions such as 100:120; not {clip(rows)!r}.")
