"""Reads Word documents (.docx) by heading. Knows no other kind."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..places import DocumentPlace, PlacedText, UnreadableFile, clean
from .archive import DocumentArchive, Element, opened_archive

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_BREAKS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n"}
_HEADING = re.compile(r"heading (\d)")


@dataclass(slots=True)
class _Section:
    """The paragraphs below the present headings. `first`: the number of the first one."""

    headings: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    lines: list[str] = field(default_factory=list[str])
    first: int = 1

    def placed(self, last: int) -> Iterator[PlacedText]:
        text = clean("\n".join(self.lines))
        if text.strip():
            name = " › ".join(title for _, title in self.headings)
            yield PlacedText(DocumentPlace("heading", self.first, last, name), text)


def read_word(path: Path) -> Iterator[PlacedText]:
    """The text below each heading. A row of a table is a line. Raises UnreadableFile, OSError."""
    with opened_archive(path) as archive:
        document = archive.xml("word/document.xml")
        body = document.find(f"{_W}body") if document is not None else None
        if body is None:
            raise UnreadableFile("it has no text part")
        levels, section, number = _heading_levels(archive), _Section(), 0
        for block in _blocks(body):
            if block.tag == f"{_W}tbl":
                section.lines += [_row(row) for row in block.iter(f"{_W}tr")]
                continue
            number += 1
            text, level = _text(block), levels.get(_style(block))
            if level is not None and text.strip():
                yield from section.placed(number - 1)
                above = [it for it in section.headings if it[0] < level]
                section = _Section([*above, (level, " ".join(text.split()))], [], number)
            section.lines.append(text)
        yield from section.placed(number)


def _heading_levels(archive: DocumentArchive) -> dict[str, int]:
    """The level of each style that is a heading. The title is above them."""
    levels: dict[str, int] = {}
    styles = archive.xml("word/styles.xml")
    for style in styles.iter(f"{_W}style") if styles is not None else ():
        name = style.find(f"{_W}name")
        said = (name.get(f"{_W}val") or "").lower() if name is not None else ""
        found = _HEADING.match(said)
        if found or said == "title":
            levels[style.get(f"{_W}styleId") or ""] = int(found[1]) if found else 0
    return levels


def _blocks(body: Element) -> Iterator[Element]:
    """The paragraphs and tables, also those in content controls."""
    for child in body:
        if child.tag in (f"{_W}p", f"{_W}tbl"):
            yield child
        elif child.tag == f"{_W}sdt":
            content = child.find(f"{_W}sdtContent")
            yield from _blocks(content) if content is not None else ()


def _style(paragraph: Element) -> str:
    style = paragraph.find(f"{_W}pPr/{_W}pStyle")
    return (style.get(f"{_W}val") or "") if style is not None else ""


def _row(row: Element) -> str:
    cells = (" ".join(_text(cell).split()) for cell in row.iter(f"{_W}tc"))
    return " | ".join(cells)


def _text(block: Element) -> str:
    parts = (
        (it.text or "") if it.tag == f"{_W}t" else _BREAKS.get(it.tag, "") for it in block.iter()
    )
    return "".join(parts)
