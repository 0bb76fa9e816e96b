"""How to install the packages of an extra. Knows only the list in the installed package."""

import re
from importlib.metadata import requires

_EXTRA = re.compile(r"([^;]+?)\s*;\s*extra == ['\"](.+)['\"]")


def install_command(extra: str) -> str:
    """The command that installs them by name. So it works however inkernel was installed."""
    listed = map(_EXTRA.fullmatch, requires("inkernel") or ())
    packages = [f"'{found[1]}'" for found in listed if found and found[2] == extra]
    return f"pip install {' '.join(packages)}"
