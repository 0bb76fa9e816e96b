"""Rewrites `%%agent` cells and `%agent` statements into an awaited call. It only changes text.

Magics cannot be awaited (IPython 9.18), so the cell itself becomes an `await`. Then the turn runs
on the kernel's own event loop. Where nothing awaits it, it becomes a plain call. Knows nothing of
the magic's work.
"""

import copy
import inspect
import re
import tokenize
from itertools import takewhile
from typing import Any, cast

from IPython.core import inputtransformer2

from ..agent.errors import UsageError
from .shell import Shell, awaits_on_asyncio, loop_runs

_UNSEEN = re.compile(r"[\s\ufeff\u200b-\u200d\u2060]*")
_PROMPT = re.compile(r"(?:In \[\d+\]:|>>>) ?")
_MORE = re.compile(r"^[ ]*\.\.\.+:?[ ]?", re.MULTILINE)
"""The prompts of further lines, in a terminal and in documents."""
_CELL = re.compile(
    rf"{_UNSEEN.pattern}(?P<prompt>{_PROMPT.pattern})?%%agent(?=\s|$)(?P<line>.*)", re.DOTALL
)
_LINE = re.compile(rf"\s*[\ufeff\u200b-\u200d\u2060]{_UNSEEN.pattern}(?=%agent(?:\s|$))")
_OURS = re.compile(r"%%?agent(?=\s|$)")
_BARE = re.compile(r"agent(?=\s|$)")
_INDENTS = {tokenize.INDENT, tokenize.DEDENT}
_EMPTY = {tokenize.COMMENT, tokenize.NL}
_MAGICS = {"run_line_magic": "%", "run_cell_magic": "%%"}


class CellTransform:
    """Rewrites `%%agent` cells. It is the first of all transforms, so no other changes a prompt."""

    # IPython runs its transforms to see whether a cell is complete, unless they declare side
    # effects. Then it sees the original `%%agent` line as a cell magic, which a blank line ends.
    has_side_effects = True

    def __init__(self, shell: Shell) -> None:
        self.shell = shell

    def __call__(self, lines: list[str]) -> list[str]:
        """The cell's lines, rewritten if they are the agent's. Raises UsageError."""
        first = next((n for n, line in enumerate(lines) if not _UNSEEN.fullmatch(line)), 0)
        match = _CELL.match("".join(lines[first : first + 1]))
        if not match:
            if lines and (seen := _LINE.match(lines[first])):
                lines = [*lines[:first], lines[first][seen.end() :], *lines[first + 1 :]]
            return lines
        body = "".join(lines[first + 1 :]).replace("\r\n", "\n")
        if match["prompt"]:
            body = _MORE.sub("", body)
        # run_cell_magic refuses an empty body before we can say what is missing.
        call = _call("cell", match["line"].strip(), body or "\n")
        if _is_awaited(self.shell):
            return [f"await {call}\n"]
        if loop_runs():
            raise cannot_wait("%%agent", self.shell)
        return [f"{call}\n"]


class LineTransform:
    """Rewrites `%agent` lines. IPython's own tokens show which are not in a string."""

    has_side_effects = True  # so that IPython does not take our errors for syntax errors

    def __init__(self, shell: Shell) -> None:
        self.shell = shell

    def __call__(self, lines: list[str]) -> list[str]:
        """The cell's lines, with those of the agent rewritten. Raises UsageError."""
        if len(lines) == 1 and _BARE.match(lines[0]) and self._is_automagic(lines[0]):
            lines = [f"%{lines[0]}"]
        if not any("%agent" in line for line in lines):  # nearly every cell
            return lines
        manager = copy.copy(self.shell.input_transformer_manager)
        finder = _Finder(_is_awaited(self.shell))
        manager.token_transformers = [finder, *manager.token_transformers]
        return manager.do_token_transforms(lines)

    def _is_automagic(self, line: str) -> bool:
        meant = self.shell.prefilter_manager.prefilter_lines(line)
        return meant.startswith("get_ipython().run_line_magic('agent',")


class _Finder:
    """Finds the agent's lines. `awaits`: the cell's runner awaits it."""

    def __init__(self, awaits: bool) -> None:
        self.awaits = awaits

    def find(self, tokens_by_line: list[list[tokenize.TokenInfo]]) -> "_Line | None":
        """The agent's first line. IPython calls this again once that line is rewritten."""
        blocks, opens = [self.awaits], self.awaits
        for tokens in tokens_by_line:
            indents = list(takewhile(lambda token: token.type in _INDENTS, tokens))
            for token in indents:
                blocks.append(opens) if token.type == tokenize.INDENT else blocks.pop()
            words = tokens[len(indents) :]
            if not words or words[0].type in _EMPTY:
                continue
            if _OURS.match(words[0].line, words[0].start[1]):
                return _Line(words[0].start, blocks[-1])
            opens = _awaits_within(words, blocks[-1])
        return None


class _Line(inputtransformer2.TokenTransformBase):
    """One `%agent` line."""

    priority = 1  # before IPython's help, which `%agent …?` would show on its last word

    def __init__(self, start: tuple[int, int], awaited: bool) -> None:
        super().__init__(start)
        self._row, self._column = start[0] - 1, start[1]
        self._awaited = awaited

    def transform(self, lines: list[str]) -> list[str]:
        """All the lines, with the call in place of this one. Raises UsageError for `%%agent`."""
        row, column = self._row, self._column
        ipython = cast("Any", inputtransformer2)
        end: int = ipython.find_end_of_continued_line(lines, row)
        text: str = ipython.assemble_continued_line(lines, (row, column), end)
        if text.startswith("%%"):
            raise not_first()
        said = text.removeprefix("%agent").strip()
        # For IPython, an awaited line is a cell magic whose cell is None.
        call = f"await {_call('cell', said, None)}" if self._awaited else _call("line", said)
        return [*lines[:row], f"{lines[row][:column]}{call}\n", *lines[end + 1 :]]


def not_first() -> UsageError:
    """The error for a `%%agent` below other lines."""
    return UsageError(
        "%%agent must be the first line of a cell.", "Move what is above it to a cell of its own."
    )


def cannot_wait(what: str, shell: Shell, *, loading: bool = False) -> UsageError:
    """The error that says why nothing can be awaited here, and how to change that.

    `loading`: the running cell loads the extension, so it was read without us.
    """
    if loading:
        why, hint = "this cell loads inkernel itself", "inkernel is loaded now: run the cell again."
    elif magic := _outer_magic():
        why, hint = f"nothing can wait within {magic}", "Give it a cell of its own."
    elif not awaits_on_asyncio(shell):
        why, hint = "`%autoawait` is not set to asyncio", "Run `%autoawait asyncio` first."
    else:
        why = "nothing awaits this code"
        hint = "Write it on a line of its own, outside of functions or in an `async def`."
    return UsageError(f"{what} has to wait for an answer, and {why}.", hint)


def _call(kind: str, *arguments: str | None) -> str:
    quoted = ", ".join(map(repr, ("agent", *arguments)))
    return f"get_ipython().run_{kind}_magic({quoted})"


def _awaits_within(words: list[tokenize.TokenInfo], here: bool) -> bool:
    """Whether a block that begins with these words may await. `here`: the code around it may."""
    match [token.string for token in words[:2]]:
        case ["async", "def"]:
            return True
        case ["def" | "class", *_]:
            return False
        case _:
            return here


def _is_awaited(shell: Shell) -> bool:
    """Whether the caller that transforms the cell awaits it.

    A coroutine does, or the shell itself if no loop runs yet. A magic such as `%%time` does not.
    """
    frame = inspect.currentframe()
    while frame and frame.f_code.co_name != "transform_cell":
        frame = frame.f_back
    while frame and frame.f_code.co_name == "transform_cell":
        frame = frame.f_back
    if frame is None or not awaits_on_asyncio(shell):
        return False
    is_coroutine = bool(frame.f_code.co_flags & inspect.CO_COROUTINE)
    return is_coroutine or (frame.f_code.co_name == "_run_cell" and not loop_runs())


def _outer_magic() -> str | None:
    """The magic that runs this code, such as `%%time`."""
    frame = inspect.currentframe()
    while frame := frame and frame.f_back:
        sign = _MAGICS.get(frame.f_code.co_name)
        if sign and (name := frame.f_locals.get("magic_name", "agent")) != "agent":
            return f"{sign}{name}"
    return None
