"""The text of a display: the kind of data in it that says most. Knows neither run nor budget."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from json import JSONDecoder
from typing import Any

from .bokeh import bokeh_text
from .html_text import html_text
from .plotly import plotly_text
from .svg import svg_words
from .values import list_of, object_of, pruned
from .vega import vega_text

MAX_PLOT_CHARS, MAX_TRIES = 10_000_000, 12
"""Characters of HTML that are searched for a plot's JSON, and places that are tried, at most."""

_BARE = re.compile(r"\s*(?:<[^<>]{1,200}>|[\w.]{1,100}\(\.\.\.\)|)\s*")
"""A text with no more than an object's type."""
_MADE = re.compile(r"\s*[A-Za-z_][\w.]*\(")
"""A text that gives an object by the call that makes it."""
_WIDGET = "application/vnd.jupyter.widget-view+json"
_SPEC = re.compile(r'[(=,>]\s*(?=\{\s*"[$\w])')
_DOCUMENTS = re.compile(r'(?:docs_json\s*=\s*|application/json"[^>]{0,200}>\s*)(?=\{)')
_TRACES = re.compile(r"""Plotly\.(?:newPlot|react)\(\s*["'][^"']{0,200}["']\s*,\s*(?=\[)""")
_LAYOUT = re.compile(r"\s*,\s*(?=\{)")
_NOT_A_PLOT = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Errors of JSON that has a plot's name and not its form."""


def display_text(data: Mapping[str, Any]) -> str:
    """A plot by title, axes, marks and data; else Markdown, LaTeX, or plain text.

    If the plain text has only an object's type: rows of HTML tables, other HTML as it is read, the
    texts of an SVG, JSON in part. If there is nothing, the names of the kinds.
    """
    try:
        if plot := next(_plots(data), ""):
            return plot
    except _NOT_A_PLOT:
        pass
    for kind in ("text/markdown", "text/latex"):
        if isinstance(data.get(kind), str):
            return data[kind]
    plain = _text(data, "text/plain")
    bare = _BARE.fullmatch(plain)
    if not bare and not _MADE.match(plain):
        return plain
    rich = _rich_text(data)
    if rich and (bare or len(rich) < len(plain)):
        return rich
    return plain if "text/plain" in data else f"[{', '.join(sorted(data))}]"


def _text(data: Mapping[str, Any], kind: str) -> str:
    return data[kind] if isinstance(data.get(kind), str) else ""


def _rich_text(data: Mapping[str, Any]) -> str:
    if svg := _text(data, "image/svg+xml"):
        return svg_words(svg)
    if (html := _text(data, "text/html")) and (text := html_text(html)):
        return text
    found = (object_of(it) or list_of(it) for kind, it in data.items() if kind != _WIDGET)
    return next((pruned(value) for value in found if value), "")


def _plots(data: Mapping[str, Any]) -> Iterator[str]:
    """The plots in data of a plot's own kind, and in scripts."""
    for kind, value in data.items():
        held = object_of(value)
        if held and kind.startswith("application/vnd.vega"):
            yield vega_text(held)
        elif held and kind.startswith("application/vnd.plotly"):
            yield plotly_text(held)
    for kind in ("text/html", "application/javascript"):
        script = _text(data, kind)[:MAX_PLOT_CHARS]
        if "vega" in script:
            specs = (spec for spec, _ in _json_after(_SPEC, script))
            yield from (vega_text(spec) for spec in specs if "vega" in str(spec.get("$schema")))
        for traces, end in _json_after(_TRACES, script):
            layouts = (layout for layout, _ in _json_after(_LAYOUT, script, end))
            yield plotly_text({"data": traces, "layout": next(layouts, None)})
        yield from (bokeh_text(held) for held, _ in _json_after(_DOCUMENTS, script))


def _json_after(pattern: re.Pattern[str], text: str, start: int = 0) -> Iterator[tuple[Any, int]]:
    """The JSON values that follow the pattern, and where each ends."""
    for match in islice(pattern.finditer(text, start), MAX_TRIES):
        try:
            yield JSONDecoder().raw_decode(text, match.end())
        except (RecursionError, ValueError):
            continue
