"""How to install what an extra brings. Knows only what the installed package lists."""

import re
from importlib.metadata import requires

_EXTRA = re.compile(r"([^;]+?)\s*;\s*extra == ['\"](.+)['\"]")


def install_command(extra: str) -> str:
    """The command for its packages, by their own names: it holds however we were installed."""
    listed = map(_EXTRA.fullmatch, requires("inkernel") or ())
    packages = [f"'{found[1]}'" for found in listed if found and found[2] == extra]
    return f"pip install {' '.join(packages)}"
