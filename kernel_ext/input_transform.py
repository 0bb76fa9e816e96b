"""Rewrites `%%agent` cells, and `%agent` lines that ask or edit, to an awaited call. Pure text.

Magics cannot be awaited (IPython 9.18), so the cell itself becomes an `await`; then the turn runs
on the kernel's own event loop. Knows nothing of what the magic does.
"""

import re
from collections.abc import Callable

from ..agent.errors import UsageError

_CELL = re.compile(r"%%agent(?=\s|$)(.*)", re.DOTALL)
_AWAITED = re.compile(r"%agent(?=\s)(\s+(?:keep|fix|explain)\b.*)")
_HELP_LIKE = re.compile(r"(\s*)%agent(?=\s)(.*\?)\s*$")

Transform = Callable[[list[str]], list[str]]


def transform(lines: list[str]) -> list[str]:
    """The cell's lines (each with its end), rewritten when they are the agent's.

    Raises UsageError when `%%agent` stands below the first line: IPython would only report that
    the syntax is invalid.
    """
    if not any("%agent" in line for line in lines):  # nearly every cell
        return lines
    first = next(n for n, line in enumerate(lines) if line.strip())
    if match := _CELL.match(lines[first]):
        body = "".join(lines[first + 1 :])
        # run_cell_magic refuses an empty body before we can say what is missing.
        return [f"await {_call('cell', match[1].strip(), body or chr(10))}\n"]
    if lines[first].startswith("%%"):
        return lines
    return [_plain(line, lines[:number]) for number, line in enumerate(lines)]


# IPython asks its transforms whether a cell is complete, unless they declare side effects;
# then the untouched `%%agent` line is seen as a cell magic, which a blank line ends.
transform.has_side_effects = True  # pyright: ignore[reportFunctionMemberAccess]


def _plain(line: str, above: list[str]) -> str:
    """The line; `%agent …?` as a call, for it would be a plea for help on its last word.

    What works on the notebook is awaited: the page answers on the kernel's own event loop.
    """
    below, help_like, awaited = (it.match(line) for it in (_CELL, _HELP_LIKE, _AWAITED))
    if not (below or help_like or awaited) or _in_string(above):
        return line
    if awaited:
        return f"await {_call('line', awaited[1].strip())}\n"
    if help_like:
        return f"{help_like[1]}{_call('line', help_like[2].strip())}\n"
    raise UsageError(
        f"%%agent stands on line {len(above) + 1} of the cell.",
        "It must be the first line: move what is above it to a cell of its own.",
    )


def _call(kind: str, *arguments: str) -> str:
    quoted = ", ".join(map(repr, ("agent", *arguments)))
    return f"get_ipython().run_{kind}_magic({quoted})"


def _in_string(above: list[str]) -> bool:
    """What follows these lines stands in a triple-quoted string."""
    return any("".join(above).count(quotes) % 2 for quotes in ('"""', "'''"))
