"""HTML as the text that a page shows: a line for each row of a table. Knows no library's markup."""

import re
from collections.abc import Mapping
from html import escape, unescape

from .svg import svg_texts

MAX_HTML_CHARS = 500_000
"""Characters of HTML that are read, at most."""
MAX_CELL_CHARS, MAX_SPAN = 200, 50
"""Characters of one cell of a table, and columns or rows that it spans, at most."""

_OBJECTS = {"img": "image", "iframe": "page in a frame", "video": "video", "audio": "audio"}
_BLOCKS = frozenset(
    (
        *("p", "div", "section", "article", "header", "footer", "blockquote", "pre", "hr", "br"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "summary"),
        *("figure", "figcaption", "details", "caption", "table", "tr", "td", "th"),
    )
)
_VOID = ("br", "hr", "img")
_TOKEN = re.compile(r'<(/?)([a-z0-9]+)((?:\s+[\w-]+="[^"]*")*)\s*>')
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_SVG = re.compile(r"<svg\b|</svg>", re.IGNORECASE)
_UNSEEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def html_text(markup: str) -> str:
    """The visible text. Of images, frames and the like it names the kind."""
    import nh3

    sound = nh3.clean(
        _with_svg_texts(markup[:MAX_HTML_CHARS]),
        tags={*_OBJECTS, *_BLOCKS, "span"},
        clean_content_tags={"script", "style", "template", "noscript"},
        attributes={"*": {"style", "hidden", "colspan", "rowspan", "alt", "src"}},
        url_schemes={"http", "https", "data"},
    )
    page, at = _Page(), 0
    for token in _TOKEN.finditer(sound):
        page.say(unescape(sound[at : token.start()]))
        if token[1]:
            page.end(token[2])
        else:
            page.begin(token[2], dict(_ATTRIBUTE.findall(token[3])))
        at = token.end()
    page.say(unescape(sound[at:]))
    cut = len(markup) - MAX_HTML_CHARS
    more = [f"[… {cut:,} characters of HTML are not read …]"] if cut > 0 else []
    return "\n".join([*page.lines(), *more])


class _Page:
    """The lines so far, and the line, row, cell or hidden part that is open."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._open: list[str] = []
        self._row: list[str] = []
        self._wide = 1
        self._covered: dict[int, int] = {}  # by column: rows that a cell above still covers
        self._tables = self._hidden = 0
        self._verbatim = False

    def lines(self) -> list[str]:
        """All lines."""
        self._end_line()
        return self._lines

    def say(self, text: str) -> None:
        """Add text to the open line or cell."""
        if not self._hidden:
            self._open.append(text)

    def begin(self, name: str, named: Mapping[str, str]) -> None:
        """Begin an element."""
        if self._hidden or "hidden" in named or _UNSEEN.search(named.get("style", "")):
            self._hidden += name not in _VOID
        elif name in _OBJECTS:
            self._open.append(f" [{_object_text(name, named)}] ")
        elif self._tables:
            self._tables += name == "table"
            self._begin_in_table(name, named)
        elif name in _BLOCKS:
            self._end_line()
            self._tables += name == "table"
            self._verbatim = name == "pre"

    def end(self, name: str) -> None:
        """End an element."""
        if self._hidden:
            self._hidden -= 1
        elif self._tables:
            self._end_in_table(name)
            self._tables -= name == "table"
        elif name in _BLOCKS:
            self._end_line()
            self._verbatim = False

    def _begin_in_table(self, name: str, named: Mapping[str, str]) -> None:
        if self._tables > 1 or name not in ("tr", "td", "th"):  # a table in a cell is its text
            self._open.append(" ")
            return
        self._open.clear()
        if name == "tr":
            return
        self._fill_covered()
        self._wide = _span(named, "colspan")
        for column in range(len(self._row), len(self._row) + self._wide):
            self._covered[column] = _span(named, "rowspan") - 1

    def _end_in_table(self, name: str) -> None:
        if self._tables > 1:
            self._open.append(" ")
        elif name in ("td", "th"):
            text = " ".join("".join(self._open).split())
            short = text if len(text) <= MAX_CELL_CHARS else f"{text[: MAX_CELL_CHARS - 1]}…"
            self._row += [short, *[""] * (self._wide - 1)]
            self._open.clear()
        elif name == "tr":
            self._fill_covered()
            self._lines.append(" | ".join(self._row).rstrip())
            self._row.clear()
        elif name in ("caption", "table"):
            self._end_line()

    def _fill_covered(self) -> None:
        """Leave the cells empty that a cell above covers."""
        while self._covered.get(len(self._row)):
            self._covered[len(self._row)] -= 1
            self._row.append("")

    def _end_line(self) -> None:
        text = "".join(self._open)
        lines = text.rstrip().split("\n") if self._verbatim else [" ".join(text.split())]
        self._lines += [line.rstrip() for line in lines] if text.strip() else []
        self._open.clear()


def _span(named: Mapping[str, str], name: str) -> int:
    words = named.get(name, "")
    return min(int(words), MAX_SPAN) or 1 if words.isdecimal() and len(words) < 9 else 1


def _object_text(name: str, named: Mapping[str, str]) -> str:
    """`image: a cat`, `image image/png`, `page in a frame https://…`."""
    source = named.get("src", "")
    kind = source[5:].partition(";")[0] if source.startswith("data:") else source
    said = f": {unescape(named['alt'])}" if named.get("alt") else ""
    return f"{_OBJECTS[name]} {unescape(kind)}".strip()[:MAX_CELL_CHARS] + said[:MAX_CELL_CHARS]


def _with_svg_texts(markup: str) -> str:
    """The HTML with the texts of each SVG in its place."""
    if "<svg" not in markup.lower():
        return markup
    kept, at, start = list[str](), 0, None
    for tag in _SVG.finditer(markup):
        if tag[0][1] != "/":
            start = tag.start() if start is None else start
        elif start is not None:
            words = " · ".join(svg_texts(markup[start : tag.start()]))
            kept += [markup[at:start], escape(words)]
            at, start = tag.end(), None
    return "".join([*kept, markup[at:]])
