"""Reads text files: Markdown by heading, others by lines. Knows no other kind."""

import re
from collections.abc import Iterator
from pathlib import Path

from ..places import DocumentPlace, PlacedText, UnreadableFile, clean

LINES_A_TEXT = 60
"""Lines of code or of plain text that are one text."""
_HEADING = re.compile(r"(#{1,6})\s+(.*)")


def read_plain_lines(path: Path) -> Iterator[PlacedText]:
    """Some lines at a time. Raises UnreadableFile, OSError."""
    lines = _text(path).split("\n")
    for at in range(0, len(lines), LINES_A_TEXT):
        some = lines[at : at + LINES_A_TEXT]
        yield PlacedText(DocumentPlace("line", at + 1, at + len(some)), "\n".join(some))


def read_markdown(path: Path) -> Iterator[PlacedText]:
    """The lines below each heading. Raises UnreadableFile, OSError."""
    headings, some, first, fenced = list[tuple[int, str]](), list[str](), 1, False
    lines = _text(path).split("\n")
    for number, line in enumerate(lines, 1):
        fenced ^= line.lstrip().startswith("```")
        found = None if fenced else _HEADING.match(line)
        if found:
            yield from _section(headings, some, first)
            level = len(found[1])
            headings = [*(it for it in headings if it[0] < level), (level, found[2].strip())]
            some, first = [], number
        some.append(line)
    yield from _section(headings, some, first)


def _section(headings: list[tuple[int, str]], lines: list[str], first: int) -> Iterator[PlacedText]:
    text = "\n".join(lines)
    if text.strip():
        name = " › ".join(title for _, title in headings)
        yield PlacedText(DocumentPlace("line", first, first + len(lines) - 1, name), text)


def _text(path: Path) -> str:
    data = path.read_bytes()
    for mark, name in (
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
        (b"\xef\xbb\xbf", "utf-8-sig"),
    ):
        if data.startswith(mark):
            return clean(data.decode(name, "replace"))
    if b"\0" in data[:8_000]:
        raise UnreadableFile("it is no text")
    try:
        return clean(data.decode("utf-8"))
    except UnicodeDecodeError:
        return clean(data.decode("cp1252", "replace"))
