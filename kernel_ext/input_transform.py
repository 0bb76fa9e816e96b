"""Rewrites `%%agent` cells, and `%agent` lines that stand alone, to an awaited call. Pure text.

Magics cannot be awaited (IPython 9.18), so the cell itself becomes an `await`; then the turn runs
on the kernel's own event loop. Knows nothing of what the magic does.
"""

import inspect
import re

from ..agent.errors import UsageError
from .shell import Shell

_CELL = re.compile(r"%%agent(?=\s|$)(.*)", re.DOTALL)
_LINE = re.compile(r"([ \t]*)%agent(?=\s|$)(.*)", re.DOTALL)
_INDENT = re.compile(r"[ \t]*")
_MAGIC_CALLS = {"run_line_magic", "run_cell_magic"}


class InputTransform:
    """The transformer of one shell."""

    # IPython asks its transforms whether a cell is complete, unless they declare side effects;
    # then the untouched `%%agent` line is seen as a cell magic, which a blank line ends.
    has_side_effects = True

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def __call__(self, lines: list[str]) -> list[str]:
        """The cell's lines, rewritten when they are the agent's."""
        if not any("%agent" in line for line in lines):  # nearly every cell
            return lines
        return transform(lines, self._shell.autoawait and not _within_a_magic())


def transform(lines: list[str], awaits: bool = True) -> list[str]:
    """The cell's lines (each with its end), rewritten when they are the agent's.

    `awaits`: whoever runs the cell awaits it. Raises UsageError when `%%agent` stands below the
    first line: IPython would only report that the syntax is invalid.
    """
    first = next((n for n, line in enumerate(lines) if line.strip()), 0)
    if match := _CELL.match("".join(lines[first : first + 1])):
        body = "".join(lines[first + 1 :])
        # run_cell_magic refuses an empty body before we can say what is missing.
        return [f"await {_call('cell', match[1].strip(), body or chr(10))}\n"]
    if not lines or lines[first].startswith("%%"):
        return lines
    found = _INDENT.match(lines[first])  # IPython takes the first line's indent off the others
    indent = found[0] if awaits and found else None
    return [_plain(line, lines[:number], indent) for number, line in enumerate(lines)]


def _plain(line: str, above: list[str], indent: str | None) -> str:
    """The line; awaited when it is a statement of the cell itself, indented by `indent`.

    Elsewhere `%agent …?` is a call, for it would be a plea for help on its last word.
    """
    below, ours = _CELL.match(line), _LINE.match(line)
    if not (below or ours) or _in_string(above):
        return line
    if ours and ours[1] == indent and not _goes_on(above):
        return f"{indent}await {_call('cell', ours[2].strip(), None)}\n"
    if ours:
        asks = ours[2].rstrip().endswith("?")
        return f"{ours[1]}{_call('line', ours[2].strip())}\n" if asks else line
    raise UsageError(
        f"%%agent stands on line {len(above) + 1} of the cell.",
        "It must be the first line: move what is above it to a cell of its own.",
    )


def _call(kind: str, *arguments: str | None) -> str:
    """A call of the magic. A line that is awaited is a cell that is None, as IPython has it."""
    quoted = ", ".join(map(repr, ("agent", *arguments)))
    return f"get_ipython().run_{kind}_magic({quoted})"


def _in_string(above: list[str]) -> bool:
    """What follows these lines stands in a triple-quoted string."""
    return any("".join(above).count(quotes) % 2 for quotes in ('"""', "'''"))


def _goes_on(above: list[str]) -> bool:
    """The line above goes on in the next one."""
    return bool(above) and above[-1].rstrip("\r\n").endswith("\\")


def _within_a_magic() -> bool:
    """Another magic runs this code, such as `%%time` or `%%capture`: none of them awaits it."""
    frame = inspect.currentframe()
    while frame := frame and frame.f_back:
        if frame.f_code.co_name in _MAGIC_CALLS:
            return True
    return False
