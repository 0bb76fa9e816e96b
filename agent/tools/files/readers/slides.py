"""Reads presentations (.pptx) by slide, in their order, with notes. Knows no other kind."""

import posixpath
from collections.abc import Iterator
from pathlib import Path

from ..places import DocumentPlace, PlacedText, UnreadableFile, clean
from .archive import DocumentArchive, Element, opened_archive

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def read_slides(path: Path) -> Iterator[PlacedText]:
    """The text of each slide, and of its notes. Raises UnreadableFile, OSError."""
    with opened_archive(path) as archive:
        presentation = archive.xml("ppt/presentation.xml")
        if presentation is None:
            raise UnreadableFile("it has no slides")
        parts = _related(archive, "ppt/presentation.xml")
        shown = [parts.get(it.get(_ID) or "", "") for it in presentation.iter(f"{_P}sldId")]
        for number, name in enumerate(shown, 1):
            lines = list(_lines(archive.xml(name)))
            for other in _related(archive, name).values():
                if "notesSlide" in other:
                    lines += _lines(archive.xml(other))
            yield PlacedText(DocumentPlace("slide", number), clean("\n".join(lines)))


def _lines(part: Element | None) -> Iterator[str]:
    """The paragraphs of a part. The number of a slide is none."""
    for paragraph in part.iter(f"{_A}p") if part is not None else ():
        text = "".join(it.text or "" for it in paragraph.iter(f"{_A}t"))
        if text.strip() and paragraph.find(f"{_A}fld") is None:
            yield text


def _related(archive: DocumentArchive, name: str) -> dict[str, str]:
    """The parts that a part refers to, by the name it has for each."""
    folder, file = posixpath.split(name)
    found = archive.xml(f"{folder}/_rels/{file}.rels")
    return {
        it.get("Id") or "": posixpath.normpath(posixpath.join("/", folder, it.get("Target") or ""))[
            1:
        ]
        for it in (found if found is not None else ())
        if it.get("TargetMode") != "External"
    }
