"""Rewrites `%%agent` cells to an awaited call, and `%agent …?` lines to a plain one. Pure text.

Magics cannot be awaited (IPython 9.18), so the cell itself becomes an `await`; then the turn runs
on the kernel's own event loop. Knows nothing of what the magic does.
"""

import ast
import re
from collections.abc import Callable

from ..agent.errors import UsageError

_CELL = re.compile(r"%%agent(?=\s|$)(.*)", re.DOTALL)
_HELP_LIKE = re.compile(r"(\s*)%agent(?=\s)(.*\?)\s*$")

Transform = Callable[[list[str]], list[str]]


def transform(lines: list[str]) -> list[str]:
    """The cell's lines (each with its end), rewritten when they are the agent's.

    Raises UsageError when `%%agent` stands below the first line: IPython would only report that
    the syntax is invalid.
    """
    first = next((n for n, line in enumerate(lines) if line.strip()), 0)
    if lines and (match := _CELL.match(lines[first])):
        body = "".join(lines[first + 1 :])
        # run_cell_magic refuses an empty body before we can say what is missing.
        return [f"await {_call('cell', match[1].strip(), body or chr(10))}\n"]
    _refuse_below(lines)
    if any(map(_HELP_LIKE.match, lines)) and not _is_python("".join(lines)):
        return [_HELP_LIKE.sub(_plain_line, line) for line in lines]
    return lines


# IPython asks its transforms whether a cell is complete, unless they declare side effects;
# then the untouched `%%agent` line is seen as a cell magic, which a blank line ends.
transform.has_side_effects = True  # pyright: ignore[reportFunctionMemberAccess]


def _plain_line(match: re.Match[str]) -> str:
    """`%agent …?` would be a plea for help on its last word."""
    return f"{match[1]}{_call('line', match[2].strip())}\n"


def _call(kind: str, *arguments: str) -> str:
    quoted = ", ".join(map(repr, ("agent", *arguments)))
    return f"get_ipython().run_{kind}_magic({quoted})"


def _refuse_below(lines: list[str]) -> None:
    below = [number for number, line in enumerate(lines, 1) if _CELL.match(line)]
    if not below or lines[0].startswith("%%") or _is_python("".join(lines)):
        return
    raise UsageError(
        f"%%agent stands on line {below[0]} of the cell.",
        "It must be the first line: move what is above it to a cell of its own.",
    )


def _is_python(source: str) -> bool:
    """Then the line is part of a string."""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True
