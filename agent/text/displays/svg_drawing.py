"""Draws an SVG figure as a PNG, with the library resvg, in a process of its own.

The process is there because resvg aborts when it has no memory, as it has for a hostile figure.
Knows no output.
"""

import re
import subprocess
import sys
from base64 import b64encode
from importlib.util import find_spec

from .svg import svg_size

LEAST_SIDE, MOST_SIDE = 800, 1_600
"""Pixels of the longer side of a picture."""
MAX_DRAWN_CHARS, DRAW_SECONDS = 10_000_000, 10
"""Characters of a figure that is drawn, and the time that this may take."""

_ELSEWHERE = re.compile(
    r"""[\w:-]*\bhref\s*=\s*(["'])(?!\s*(?:#|data:)).*?\1""", re.IGNORECASE | re.DOTALL
)
"""A reference out of the figure. The library would read a file that it names."""
_CODE = """
import sys
import resvg_py
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
except (ImportError, OSError, ValueError):
    pass
width, height = map(int, sys.argv[1:])
markup = sys.stdin.buffer.read().decode()
form = {"width": width, "height": height, "background": "white", "dpi": 96}
sys.stdout.buffer.write(bytes(resvg_py.svg_to_bytes(svg_string=markup, **form)))
"""


def drawn_svg(markup: str) -> str:
    """The figure as a PNG in base64.

    Raises ImportError without the library, and OSError, ValueError or SubprocessError when the
    figure cannot be drawn.
    """
    if find_spec("resvg_py") is None:
        raise ImportError("resvg_py")
    size = svg_size(markup)
    if not size or min(size) <= 0 or len(markup) > MAX_DRAWN_CHARS or "<!ENTITY" in markup:
        raise ValueError("a figure that is not drawn")
    scale = min(max(*size, LEAST_SIDE), MOST_SIDE) / max(size)
    sides = [str(max(1, round(side * scale))) for side in size]
    ran = subprocess.run(
        [sys.executable, "-P", "-c", _CODE, *sides],
        input=_ELSEWHERE.sub("", markup).encode(errors="replace"),
        capture_output=True,
        timeout=DRAW_SECONDS,
        check=True,
    )
    return b64encode(ran.stdout).decode()
