"""An SVG figure in words: its size and its texts. Draws nothing, and knows no output."""

import re
from html import unescape

MAX_SVG_CHARS = 2_000_000
"""Characters of an SVG that are searched for texts, at most."""
MAX_TEXTS, MAX_LABEL_CHARS = 150, 200
"""Texts of a figure, and characters of each, at most."""

_ROOT = re.compile(r"<svg\b[^>]{0,5000}>", re.IGNORECASE)
_SIDE = r"""\s{}\s*=\s*["']\s*(\d{{1,9}}(?:\.\d+)?)\s*(?:px|pt|pc|mm|cm|in)?\s*["']"""
_BOX = re.compile(r"""\sviewBox\s*=\s*["']\s*\S+\s+\S+\s+(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)""")
_TEXT = re.compile(
    r"<(?:text|tspan|textPath|title|desc)\b[^>]{0,2000}>([^<]+)"
    r"|<!--((?:(?!-->)[^<]){1,200})-->"  # matplotlib draws a text as paths, and keeps it here
)


def svg_words(markup: str) -> str:
    """`SVG figure, 460 × 345, with the texts: …`, in their order."""
    size, texts = svg_size(markup), svg_texts(markup)
    head = "SVG figure" + (f", {size[0]:g} × {size[1]:g}" if size else "")
    return f"{head}, with the texts: {' · '.join(texts)}" if texts else f"{head}, without texts"


def svg_texts(markup: str) -> list[str]:
    """The different texts of the figure: title, labels, ticks."""
    found = dict[str, None]()
    for match in _TEXT.finditer(markup, 0, MAX_SVG_CHARS):
        if text := " ".join(unescape(match[1] or match[2]).split()):
            found[text[:MAX_LABEL_CHARS]] = None
        if len(found) > MAX_TEXTS:
            return [*list(found)[:-1], "…"]
    return list(found)


def svg_size(markup: str) -> tuple[float, float] | None:
    """Width and height as the figure gives them, or else of its view box."""
    root = _ROOT.search(markup, 0, MAX_SVG_CHARS)
    if root is None:
        return None
    width, height = (re.search(_SIDE.format(name), root[0]) for name in ("width", "height"))
    if width and height:
        return float(width[1]), float(height[1])
    box = _BOX.search(root[0])
    return (float(box[1]), float(box[2])) if box else None
