"""The card of `%agent context`: the tokens in the window, by kind and by cell.

Knows no session: the command adds up the figures.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import accumulate, pairwise

from ...agent.frozen import frozen
from ...agent.printable import printable
from ...agent.text.lines import count_of
from ..render.sanitize import escape, said_html, words_html

ENTRY_KINDS = {
    "head": ("instructions and tools", "#6b7280"),
    "instructions": ("AGENTS.md", "#8b5cf6"),
    "place": ("the environment", "#a78bfa"),
    "digest": ("the digest", "#ec4899"),
    "cells": ("your cells", "#0ea5e9"),
    "names": ("your variables", "#22c55e"),
    "said": ("your prompts", "#f59e0b"),
    "model": ("the model", "#ef4444"),
    "output": ("outputs of steps", "#14b8a6"),
}
"""Each kind of entry in words, and its colour."""

SHADES = ("#94a3b8", "#cbd5e1")
"""Colours that alternate between neighbouring cells."""

_ROWS = 60
"""Cells that are listed, at most: the latest."""


@frozen
class CellRow:
    """A user's cell or a turn, in words, and the tokens that it takes."""

    words: str
    tokens: int


@frozen
class ContextCard:
    """Tokens by kind, and by cell in the order of the window.

    `kinds` and `cells` are our own counts, `exact` if the model's tokenizer counted. `server`: the
    server's count of all, by which they are shown. `cached`: the cached part of the last request.
    `coming`: what the next compaction would do.
    """

    kinds: Mapping[str, int]
    cells: tuple[CellRow, ...]
    window: int | None
    server: int | None
    cached: float | None
    exact: bool = False
    coming: str = ""

    def bundle(self) -> dict[str, str]:
        """The card as text and as HTML."""
        return {"text/plain": printable(self._text()), "text/html": self._html()}

    @property
    def _total(self) -> int:
        return sum(self.kinds.values())

    def _title(self) -> str:
        """It gives the server's count, where there is one."""
        taken = self.server or self._total
        share = f" of {self.window:,} ({taken / self.window:.0%})" if self.window else ""
        about = "" if self.server or self.exact else "about "
        whose = f", as the server counts (by our count {self._total:,})" if self.server else ""
        cached = f"; {self.cached:.0%} of the last request was cached" if self.cached else ""
        return f"In the window: {about}{taken:,} tokens{share}{whose}{cached}."

    def _rows(self) -> list[tuple[str, str, int]]:
        """Name, colour and tokens of each kind. They sum up to the title's count."""
        kinds = [kind for kind, tokens in self.kinds.items() if tokens]
        return [
            (*ENTRY_KINDS[kind], tokens)
            for kind, tokens in zip(
                kinds, self._shown(self.kinds[kind] for kind in kinds), strict=True
            )
        ]

    def _text(self) -> str:
        lines = [self._title()]
        for name, _, tokens in self._rows():
            bar = "█" * round(30 * tokens / max(self._total, 1))
            lines.append(f"  {name:<30}{tokens:>9,}  {bar}".rstrip())
        lines += ["by cell:"] if self.cells else []
        lines += [f"  {row.tokens:>9,}  {row.words}" for row in self._listed()]
        return "\n".join([*lines, *([self.coming] if self.coming else [])])

    def _listed(self) -> list[CellRow]:
        """The latest cells. Before them, the sums of all that is no cell, and of earlier ones."""
        first = max(0, len(self.cells) - _ROWS)
        earlier = self.cells[:first]
        taken = sum(row.tokens for row in earlier)
        besides = self._total - sum(row.tokens for row in self.cells)
        more = [CellRow("beside the cells", besides)] if self.cells else []
        more += [CellRow(count_of(len(earlier), "earlier cell"), taken)] if earlier else []
        rows = [*more, *self.cells[first:]]
        shown = self._shown(row.tokens for row in rows)
        return [replace(row, tokens=tokens) for row, tokens in zip(rows, shown, strict=True)]

    def _shown(self, counts: Iterable[int]) -> list[int]:
        """Our counts of all parts, as the server would count them. Their sum is its count."""
        total, server = self._total, self.server or self._total
        sums = [0, *(server * taken // max(total, 1) for taken in accumulate(counts))]
        return [after - before for before, after in pairwise(sums)]

    def _html(self) -> str:
        of = self.window or self._total or 1
        taken = self.server or self._total or 1
        bar = "".join(_segment(name, tokens, of, colour) for name, colour, tokens in self._rows())
        kinds = "".join(
            f"<tr><td style='text-align:left'><span style='color:{colour}'>■</span> {name}</td>"
            f"<td>{tokens:,}</td><td>{tokens / taken:.0%}</td></tr>"
            for name, colour, tokens in self._rows()
        )
        cells = "".join(
            f"<tr><td style='text-align:left'>{words_html(row.words)}</td>"
            f"<td>{row.tokens:,}</td></tr>"
            for row in self._listed()
        )
        shades = "".join(
            _segment(row.words, row.tokens, of, SHADES[at % len(SHADES)])
            for at, row in enumerate(self._listed())
        )
        return (
            f"<div>{words_html(self._title())}</div>{_bar(bar, 12)}{_bar(shades, 6)}"
            f"<table>{kinds}</table>{f'<table>{cells}</table>' if cells else ''}"
            f"<div>{said_html(self.coming)}</div>"
        )


def _segment(words: str, tokens: int, of: int, colour: str) -> str:
    return (
        f"<div title='{escape(words)}: {tokens:,}'"
        f" style='width:{max(0, 100 * tokens / of):.2f}%;background:{colour}'></div>"
    )


def _bar(segments: str, height: int) -> str:
    return (
        f"<div style='display:flex;height:{height}px;max-width:640px;margin:6px 0;"
        f"border:1px solid #9ca3af;border-radius:3px;overflow:hidden'>{segments}</div>"
    )


@frozen
class RawCard:
    """The next request as it would be sent, in readable form."""

    request: bytes

    def bundle(self) -> dict[str, str]:
        """The request as indented JSON."""
        text = json.dumps(json.loads(self.request), indent=2, ensure_ascii=False)
        return {"text/plain": printable(text)}
