"""Reads spreadsheets (.xlsx, .xls, .ods and their like) by sheet and rows. Knows no other kind."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..places import DocumentPlace, PlacedText, UnreadableFile, clean

ROWS_CHARS = 1_200
"""So many characters of rows are one text. Each such text begins with the sheet's first row."""
MAX_SHEET_ROWS = 200_000
"""Most rows of a sheet that are read."""


def read_sheets(path: Path) -> Iterator[PlacedText]:
    """The rows of each sheet, some at a time. Raises UnreadableFile, ImportError, OSError."""
    import python_calamine

    opened: Any = python_calamine.CalamineWorkbook
    try:
        workbook = opened.from_path(str(path))
        for name in workbook.sheet_names:
            rows = workbook.get_sheet_by_name(name).to_python(
                skip_empty_area=False, nrows=MAX_SHEET_ROWS
            )
            yield from _parts(name, rows)
    except python_calamine.PasswordError:
        raise UnreadableFile("it is encrypted") from None
    except python_calamine.CalamineError as error:
        raise UnreadableFile(f"it is no spreadsheet, or broken: {error}") from None


def _parts(name: str, rows: Sequence[Sequence[Any]]) -> Iterator[PlacedText]:
    head, lines, first, last = "", list[str](), 0, 0
    for number, row in enumerate(rows, 1):
        line = clean(" | ".join("" if it == "" else str(it) for it in row)).strip(" |")
        if not line:
            continue
        head = head or line
        first, last = first or number, number
        lines.append(line)
        if sum(map(len, lines)) > ROWS_CHARS:
            yield _part(name, head, lines, first, last)
            lines, first = list[str](), 0
    if lines:
        yield _part(name, head, lines, first, last)


def _part(name: str, head: str, lines: list[str], first: int, last: int) -> PlacedText:
    shown = lines if lines[0] == head else [head, *lines]
    return PlacedText(DocumentPlace("sheet", first, last, name), "\n".join(shown))
