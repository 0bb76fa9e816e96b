"""Reads PDF files by page. Knows no other kind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..places import DocumentPlace, PlacedText, UnreadableFile, clean

MAX_PIXELS = 2_000
"""Most pixels of a page's longer side."""
_POINTS_PER_INCH, _DPI = 72, 110


def read_pdf(path: Path) -> Iterator[PlacedText]:
    """The text of each page. Raises UnreadableFile, ImportError without pypdfium2."""
    document = _opened(path)
    try:
        for at in range(len(document)):
            page = document[at]
            text_page = page.get_textpage()
            text = text_page.get_text_range()
            text_page.close()
            page.close()
            label = document.get_page_label(at)
            name = label if label and label != str(at + 1) else ""
            yield PlacedText(DocumentPlace("page", at + 1, name=name), clean(text))
    finally:
        document.close()


def page_image(path: Path, number: int) -> Any:
    """A page, from 1, as a picture of PIL. Raises UnreadableFile, ImportError."""
    document = _opened(path)
    try:
        if not 1 <= number <= len(document):
            raise UnreadableFile(f"it has {len(document)} pages")
        page = document[number - 1]
        scale = min(_DPI / _POINTS_PER_INCH, MAX_PIXELS / max(page.get_size()))
        return page.render(scale=scale).to_pil()
    finally:
        document.close()


def _opened(path: Path) -> Any:
    from importlib import import_module  # it has no types

    pdfium: Any = import_module("pypdfium2")
    try:
        return pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        why = "it is encrypted" if "password" in str(error).lower() else "it is no PDF, or broken"
        raise UnreadableFile(why) from None
