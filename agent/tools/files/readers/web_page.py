"""Reads HTML files by heading. Knows no other kind, and no network."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from ..places import DocumentPlace, PlacedText, clean

_BLOCKS = frozenset(
    (
        *("p", "div", "br", "li", "tr", "table", "section", "article", "pre", "ul", "ol", "dl"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "dt", "dd", "blockquote"),
    )
)
_SILENT = frozenset(("script", "style", "noscript", "svg", "template"))
_LEVEL = re.compile("h([1-6])")
_CHARSET = re.compile(rb"charset=[\"']?([\w-]+)")


def read_web_page(path: Path) -> Iterator[PlacedText]:
    """The text below each heading. Raises OSError."""
    data = path.read_bytes()
    page = _Page()
    page.feed(_decoded(data))
    page.close()
    page.end_section()
    for number, (headings, text) in enumerate(page.sections, 1):
        yield PlacedText(DocumentPlace("section", number, name=headings), text)


def _decoded(data: bytes) -> str:
    said = _CHARSET.search(data[:4096])
    for name in (said[1].decode() if said else "utf-8", "utf-8"):
        try:
            return data.decode(name)
        except (LookupError, UnicodeDecodeError):
            continue
    return data.decode("cp1252", "replace")


class _Page(HTMLParser):
    """The sections of a page: headings around each, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: list[tuple[str, str]] = []
        self._headings: list[tuple[int, str]] = []
        self._words: list[str] = []
        self._title: list[str] | None = None
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._silent += tag in _SILENT
        if _LEVEL.fullmatch(tag):
            self.end_section()
            self._title = []
        self._words.append(" | " if tag in ("td", "th") else "\n" if tag in _BLOCKS else "")

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(0, self._silent - (tag in _SILENT))
        if (level := _LEVEL.fullmatch(tag)) and self._title is not None:
            above = [it for it in self._headings if it[0] < int(level[1])]
            self._headings = [*above, (int(level[1]), " ".join("".join(self._title).split()))]
            self._title = None
            self._words.append("\n")

    def handle_data(self, data: str) -> None:
        if self._silent == 0:
            self._words.append(data)
            if self._title is not None:
                self._title.append(data)

    def end_section(self) -> None:
        """Keep the text so far with its headings."""
        text = re.sub(r"\s*\n\s*", "\n", re.sub(r"[ \t]+", " ", "".join(self._words)))
        if text.strip():
            name = " › ".join(title for _, title in self._headings if title)
            self.sections.append((name, clean(text.strip())))
        self._words.clear()
