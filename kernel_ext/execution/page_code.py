"""Outputs that run code in the page that shows them: which do, and whose code it is.

The page can type cells and answer questions, so code of a step must not run there unasked.
"""

import html
import inspect
import re
import sys
from collections.abc import Mapping
from typing import Any

LIBRARIES = frozenset(
    (
        *("plotly", "bokeh", "altair", "vega", "holoviews", "hvplot", "panel", "folium", "pyvis"),
        *("pydeck", "itables", "sklearn", "shap", "ipywidgets", "anywidget", "ipyleaflet"),
        *("bqplot", "lonboard", "jscatter", "pygwalker", "ipympl", "tqdm", "geopandas"),
    )
)
"""Packages whose own code makes pages that run code."""
WITHHELD = (
    "[Not shown: it would run code in your page, which could act for you there."
    " Show it in a cell of your own, or with the policy `full`.]\n"
)
_RUNS = re.compile(
    r"<\s*(?:script|iframe|frame|object|embed|base|meta|portal)\b"
    r"|<[^<]*[\s/\"'>]on[a-z]{3,}\s*=|(?:java|vb)script\s*:|data\s*:\s*text/html",
    re.IGNORECASE | re.DOTALL,
)
_MARKUP = ("text/html", "text/markdown", "image/svg+xml")
_CODE = re.compile(r"javascript|ecmascript|_exec\b|_load\b|xhtml|text/xml", re.IGNORECASE)
_SHOWING = {"display": "obj", "__call__": "result"}
"""Functions of IPython that show a value, and the name they have for it."""
_INVISIBLE = re.compile(r"[\x00-\x20\u200b\ufeff]+")


def runs_code(data: Mapping[str, Any]) -> bool:
    """Whether a page that shows this MIME bundle may run code that is in it."""
    return any(map(_CODE.search, data)) or any(
        _RUNS.search(text) or "javascript:" in _INVISIBLE.sub("", text).lower()
        for text in (html.unescape(str(data[kind])) for kind in _MARKUP if kind in data)
    )


def is_of_a_library() -> bool:
    """Whether a library's own code shows the output that is shown now, or one of its objects is.

    The nearest caller outside of IPython and of ours decides, which code can forge.
    """
    frame = inspect.currentframe()
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package == "IPython" and (name := _SHOWING.get(frame.f_code.co_name)):
            shown: object = frame.f_locals.get(name)
            if _is_made_by_one(type(shown)):
                return True
        elif package not in _PASSING:
            return package in LIBRARIES and _is_installed(frame.f_code.co_filename)
        frame = frame.f_back
    return False


_PASSING = (__name__.partition(".")[0], "IPython", "ipykernel", "traitlets", "contextlib")


def _is_made_by_one(kind: type[Any]) -> bool:
    module = sys.modules.get(kind.__module__)
    found = getattr(module, kind.__qualname__, None)
    file = str(getattr(module, "__file__", ""))
    return found is kind and kind.__module__.partition(".")[0] in LIBRARIES and _is_installed(file)


def _is_installed(file: str) -> bool:
    return "site-packages" in file and file.startswith((sys.prefix, sys.base_prefix))
