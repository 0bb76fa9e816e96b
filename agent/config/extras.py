"""How to install the packages of an extra. Knows only the list in the installed package."""

import re
from collections.abc import Iterator
from importlib.metadata import requires

_EXTRA = re.compile(r"([^;]+?)\s*;\s*extra == ['\"](.+)['\"]")
_INCLUDED = re.compile(r"inkernel\[(.+)\]")


def install_command(extra: str) -> str:
    """The command that installs them by name. So it works however inkernel was installed."""
    return f"pip install {' '.join(_packages(extra))}"


def _packages(extra: str) -> Iterator[str]:
    for found in filter(None, map(_EXTRA.fullmatch, requires("inkernel") or ())):
        if found[2] != extra:
            continue
        if included := _INCLUDED.fullmatch(found[1]):
            yield from _packages(included[1])
        else:
            yield f"'{found[1]}'"
