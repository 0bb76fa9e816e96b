"""Places in documents, and the texts at them. Knows no kind of file, and no index."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from ...frozen import frozen

PlaceKind = Literal["page", "slide", "sheet", "heading", "section", "cell", "line"]

_WORDS = re.compile(
    r"\b(?:p(?:ages?|\.)?|slides?|sections?|cells?|lines?|paragraphs?|rows?)\s*(?P<from>\d+)"
    r"(?:\s*[-–]\s*(?P<to>\d+))?",
    re.IGNORECASE,
)
_HYPHENS = re.compile("[\ufffe\u00ad]\n?")
"""PDFium's sign for a word that goes on in the next line, and the soft hyphen."""


class UnreadableFile(Exception):
    """A file gives no text. The message says why, for the model."""


@frozen
class DocumentPlace:
    """The place of a text. `number` to `last`: pages, slides, rows, paragraphs or lines, from 1.

    `name`: of a sheet, headings around a text, or the number that is printed on a page.
    """

    kind: PlaceKind
    number: int = 0
    last: int = 0
    name: str = ""

    @property
    def words(self) -> str:
        """The place as a person writes it, such as `page 12`, or `Costs, rows 2–40`."""
        span = f"{self.number}–{self.last}" if self.last > self.number else str(self.number)
        match self.kind:
            case "sheet":
                return f"{self.name}, rows {span}"
            case "heading":
                return f"{self.name}, paragraph {span}" if self.name else f"paragraph {span}"
            case "line" | "section":
                named = f"{self.name}, " if self.name else ""
                return f"{named}{self.kind}{'s' if self.last > self.number else ''} {span}"
            case "page" if self.name:
                return f"page {span} ({self.name})"
            case _:
                return f"{self.kind} {span}"

    @property
    def values(self) -> dict[str, Any]:
        """The place as values for code."""
        of_kind = {"sheet": "rows", "heading": "paragraph"}.get(self.kind, self.kind)
        span: Any = [self.number, self.last] if self.last else self.number
        return {of_kind: span, **({"in": self.name} if self.name else {})}


class PlacedText(NamedTuple):
    """A text of a document, and where it is. The text is clean."""

    place: DocumentPlace
    text: str


class AskedPlace(NamedTuple):
    """A place as it was asked for: numbers from 1, and the name of a sheet or a heading."""

    first: int
    last: int
    name: str

    def among(self, texts: Sequence[PlacedText]) -> list[PlacedText]:
        """The texts that are meant: by a whole heading or sheet, or else by a part of its name."""
        there = [it for it in texts if self._spans(it.place)]
        name = self.name.casefold()
        named = [it for it in there if name in it.place.name.casefold()]
        titles = [f" › {it.place.name.casefold()} › " for it in named]
        exact = [it for it, title in zip(named, titles, strict=True) if f" › {name} › " in title]
        return exact or named

    def _spans(self, place: DocumentPlace) -> bool:
        end = place.last or place.number
        return not self.first or (self.first <= end and place.number <= self.last)


def asked_place(words: str) -> AskedPlace:
    """The place that words mean, such as `page 3`, `12-14`, `Costs, rows 2–40`, or a heading."""
    text = words.strip(" ,;:.")
    found = _WORDS.search(text) or re.fullmatch(r"(?P<from>\d+)(?:\s*[-–]\s*(?P<to>\d+))?", text)
    if found is None:
        return AskedPlace(0, 0, text)
    first = int(found["from"])
    name = (text[: found.start()] + text[found.end() :]).strip(" ,()")
    return AskedPlace(first, max(first, int(found["to"] or first)), "" if name.isdigit() else name)


def clean(text: str) -> str:
    """The text with plain line ends, without hyphens of a line's end, and with plain letters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return unicodedata.normalize("NFKC", _HYPHENS.sub("", text))
