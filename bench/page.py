"""Writes tables of kept figures between the marks of a page. Knows no script, and does no I/O."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

TARGET, BY = "target", "by"
"""Columns that a row fills by itself: they come last."""

Kept = Mapping[str, Mapping[str, Any]]
"""The last results of each script: `day`, `where` it ran, and its `figures` by name."""


@dataclass(frozen=True)
class Row:
    """One line of a table, with figures of the script `by`.

    `words` and `cells` are templates. `cells` has ` | ` between two. `bound` is the target of
    `judged`, else of each figure in the last cell. `least`: it is a minimum.
    """

    words: str
    cells: str
    by: str
    bound: float | None = None
    least: bool = False
    judged: str = ""


@dataclass(frozen=True)
class Table:
    """A table between the marks `mark` of a page. `before`, `after`: templates of text around it.

    Their figures are those of the first row's script. `placed`: lines below it say where its
    figures were measured.
    """

    page: str
    mark: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    before: str = ""
    after: str = ""
    placed: bool = True


class _Figures(dict[str, Any]):
    """Figures by name. One that is missing shows as a dash."""

    def __missing__(self, name: str) -> "_Missing":
        return _Missing()


class _Missing:
    def __format__(self, spec: str) -> str:
        return "–"


def written(text: str, page: str, tables: Sequence[Table], kept: Kept) -> str:
    """The text of `page` with its tables as kept."""
    for table in tables:
        if table.page == page:
            marks = rf"(?<=^<!-- {table.mark} -->\n).*?(?=^<!-- /{table.mark} -->$)"
            new = f"{rendered(table, kept)}\n"
            text = re.sub(marks, lambda _, new=new: new, text, flags=re.MULTILINE | re.DOTALL)
    return text


def rendered(table: Table, kept: Kept) -> str:
    """The table, with the text around it, and lines that say when and where it was measured."""
    figures = _figures(kept, table.rows[0].by)
    lines = [_line(row, table.columns, kept) for row in table.rows]
    parts = [
        table.before.format_map(figures),
        markdown(table.columns, lines),
        table.after.format_map(figures),
        _measured(table, kept) if table.placed else "",
    ]
    return "\n\n".join(part for part in parts if part)


def gaps(tables: Sequence[Table], kept: Kept) -> list[str]:
    """The words of each row of these scripts that lacks a figure."""
    return [
        row.words
        for table in tables
        for row in table.rows
        if row.by in kept
        and not {*names_in(row.words + row.cells)} <= _figures(kept, row.by).keys()
    ]


def markdown(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded to be readable as text."""
    widths = [max(map(len, column)) for column in zip(columns, *lines, strict=True)]
    padded = [
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in (columns, ["-" * width for width in widths], *lines)
    ]
    return "\n".join(f"| {line} |" for line in padded)


def names_in(template: str) -> list[str]:
    """The figures that a template names."""
    return [name for _, name, _, _ in Formatter().parse(template) if name]


def _line(row: Row, columns: Sequence[str], kept: Kept) -> list[str]:
    figures = _figures(kept, row.by)
    own = {TARGET: _target(row, figures), BY: f"`python -m bench {row.by}`, {_day(kept, row.by)}"}
    cells = [cell.format_map(figures) for cell in (row.words, *row.cells.split(" | "))]
    return [*cells, *(own[name] for name in columns[len(cells) :])]


def _target(row: Row, figures: Mapping[str, Any]) -> str:
    if row.bound is None:
        return ""
    judged = [row.judged] if row.judged else names_in(row.cells.split(" | ")[-1])
    values = [figures[name] for name in judged if name in figures]
    met = all(it >= row.bound if row.least else it <= row.bound for it in values)
    return f"{'≥' if row.least else '≤'} {row.bound:,g}{'' if met else ', **missed**'}"


def _measured(table: Table, kept: Kept) -> str:
    ran: dict[str, list[str]] = {}
    for name in dict.fromkeys(row.by for row in table.rows):
        if name in kept:
            ran.setdefault(f"{_day(kept, name)}: {kept[name]['where']}", []).append(name)
    said = [f"`python -m bench {' '.join(names)}`, {when}." for when, names in ran.items()]
    return "\n\n".join(said)


def _figures(kept: Kept, script: str) -> _Figures:
    return _Figures(kept[script]["figures"] if script in kept else {})


def _day(kept: Kept, script: str) -> str:
    return kept[script]["day"] if script in kept else "–"
