"""Makes real documents for the tests, with a marker at each of many places."""

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

PLACES = 100
needs_files = pytest.mark.skipif(
    any(find_spec(it) is None for it in ("pypdfium2", "python_calamine")),
    reason="needs the extra `files`",
)


def marker(number: int) -> str:
    """The marker of a place: a word that is nowhere else."""
    return f"zebra{number:03d}quux"


def pdf(path: Path) -> None:
    """A page for each marker."""
    canvas = pytest.importorskip("reportlab.pdfgen.canvas").Canvas(str(path))
    for number in range(1, PLACES + 1):
        canvas.drawString(72, 700, f"It rains. The marker of this page is {marker(number)}.")
        for line in range(20):
            canvas.drawString(72, 680 - line * 14, f"Filler line {line} on the weather of towns.")
        canvas.showPage()
    canvas.save()


def word(path: Path) -> None:
    """A heading for each marker, and a table at the end."""
    document = pytest.importorskip("docx").Document()
    document.add_heading("Contract", 0)
    for number in range(1, PLACES + 1):
        document.add_heading(f"Clause {number}", 1)
        document.add_paragraph(f"The marker is {marker(number)}.")
        document.add_heading("Notes", 2)
        document.add_paragraph("Nothing to note.")
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "penalty", "40 euros"
    document.save(path)


def slides(path: Path) -> None:
    """A slide for each marker, which is in the notes of every second one."""
    deck = pytest.importorskip("pptx").Presentation()
    for number in range(1, PLACES + 1):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = f"Slide on rain {number}"
        at = slide.placeholders[1] if number % 2 else slide.notes_slide.notes_text_frame
        at.text = marker(number)
    deck.save(path)


def sheets(path: Path) -> None:
    """A sheet for each marker, in its last row."""
    book = pytest.importorskip("openpyxl").Workbook()
    for number in range(1, PLACES + 1):
        sheet = book.create_sheet(f"Town {number}")
        sheet.append(["month", "mm"])
        for month in range(12):
            sheet.append([month, month * 1.5])
        sheet.append([marker(number), 7])
    book.save(path)


def web_page(path: Path) -> None:
    """A heading for each marker, and a script."""
    parts = [f"<h2>Town {it}</h2><p>{marker(it)} &amp; rain" for it in range(1, PLACES + 1)]
    path.write_text(f"<html><body>{''.join(parts)}<script>zebrascript</script></body></html>")


def notebook(path: Path) -> None:
    """A cell for each marker, which is in the output of every second one, and a hidden cell."""
    cells: list[dict[str, object]] = []
    for number in range(1, PLACES + 1):
        said = {"output_type": "stream", "name": "stdout", "text": [marker(number), "\n"]}
        source = ["x = 1\n", "print(x)"] if number % 2 else [f"y = '{marker(number)}'"]
        cells.append({"cell_type": "code", "source": source, "outputs": [said] * (number % 2)})
    cells.append({"cell_type": "code", "source": "# agent: hide\nzebrahidden", "outputs": []})
    path.write_text(json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5}))


def markdown(path: Path) -> None:
    """A heading for each marker."""
    parts = [f"## Town {it}\n\n{marker(it)}\n\n```\n# no heading\n```\n" for it in range(1, 101)]
    path.write_text("\n".join(["# Rain\n", *parts]))


def code(path: Path) -> None:
    """Sixty lines for each marker."""
    lines = [f"x_{it} = '{marker(it)}'" + "\n" * 60 for it in range(1, PLACES + 1)]
    path.write_text("".join(lines))


MAKERS: dict[str, Callable[[Path], None]] = {
    "rain.pdf": pdf,
    "contract.docx": word,
    "talk.pptx": slides,
    "towns.xlsx": sheets,
    "page.html": web_page,
    "work.ipynb": notebook,
    "notes.md": markdown,
    "module.py": code,
}
"""A document of each kind, by its file name."""

AT: dict[str, Callable[[int], str]] = {
    "rain.pdf": lambda it: f"page {it}",
    "contract.docx": lambda it: f"Contract › Clause {it}, paragraph {it * 4 - 2}–{it * 4 - 1}",
    "talk.pptx": lambda it: f"slide {it}",
    "towns.xlsx": lambda it: f"Town {it}, rows 1–14",
    "page.html": lambda it: f"Town {it}, section {it}",
    "work.ipynb": lambda it: f"cell {it}",
    "notes.md": lambda it: f"Rain › Town {it}, lines {it * 8 - 5}–{it * 8 + 2}",
    "module.py": lambda it: f"lines {it * 60 - 59}–{it * 60}",
}
"""The place of each marker, by the document."""


def numbers() -> Iterator[int]:
    """The numbers of all markers."""
    return iter(range(1, PLACES + 1))
