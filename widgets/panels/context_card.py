"""The card of `%agent context`: the tokens in the window, by kind and by cell.

Knows no session: the command adds up the figures.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ...agent.printable import printable
from ..render.sanitize import escape, words_html

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


@dataclass(frozen=True, slots=True)
class CellRow:
    """A user's cell or a turn, in words, and the tokens that it takes."""

    words: str
    tokens: int


@dataclass(frozen=True, slots=True)
class ContextCard:
    """Tokens by kind, and by cell in the order of the window.

    `server`: the server's count. `exact`: our own count comes from the model's tokenizer. `cached`:
    the cached part of the last request. `coming`: what the next compaction would do.
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
        """It gives the server's count, where there is one. The rows below are our own counts."""
        taken = self.server or self._total
        share = f" of {self.window:,} ({taken / self.window:.0%})" if self.window else ""
        about = "" if self.server or self.exact else "about "
        whose = f", as the server counts (by our count {self._total:,})" if self.server else ""
        cached = f"; {self.cached:.0%} of the last request was cached" if self.cached else ""
        return f"In the window: {about}{taken:,} tokens{share}{whose}{cached}."

    def _rows(self) -> list[tuple[str, int]]:
        return [(ENTRY_KINDS[kind][0], tokens) for kind, tokens in self.kinds.items() if tokens]

    def _text(self) -> str:
        lines = [self._title()]
        for name, tokens in self._rows():
            bar = "█" * round(30 * tokens / self._total)
            lines.append(f"  {name:<24}{tokens:>9,}  {bar}")
        lines += ["by cell:"] if self.cells else []
        lines += [f"  {row.tokens:>9,}  {row.words}" for row in self._listed()]
        return "\n".join([*lines, *([self.coming] if self.coming else [])])

    def _listed(self) -> list[CellRow]:
        """The latest cells, and before them one row that sums up the earlier ones."""
        first = max(0, len(self.cells) - _ROWS)
        earlier = self.cells[:first]
        taken = sum(row.tokens for row in earlier)
        more = [CellRow(f"{len(earlier):,} earlier cells", taken)] if earlier else []
        return [*more, *self.cells[first:]]

    def _html(self) -> str:
        of = self.window or self._total or 1
        bar = "".join(
            _segment(ENTRY_KINDS[kind][0], tokens, of, ENTRY_KINDS[kind][1])
            for kind, tokens in self.kinds.items()
            if tokens
        )
        kinds = "".join(
            f"<tr><td style='text-align:left'><span style='color:{colour}'>■</span> {name}</td>"
            f"<td>{tokens:,}</td><td>{tokens / max(self._total, 1):.0%}</td></tr>"
            for kind, tokens in self.kinds.items()
            if tokens
            for name, colour in [ENTRY_KINDS[kind]]
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
            f"<div>{words_html(self.coming)}</div>"
        )


def _segment(words: str, tokens: int, of: int, colour: str) -> str:
    return (
        f"<div title='{escape(words)}: {tokens:,}'"
        f" style='width:{100 * tokens / of:.2f}%;background:{colour}'></div>"
    )


def _bar(segments: str, height: int) -> str:
    return (
        f"<div style='display:flex;height:{height}px;max-width:640px;margin:6px 0;"
        f"border:1px solid #9ca3af;border-radius:3px;overflow:hidden'>{segments}</div>"
    )


@dataclass(frozen=True, slots=True)
class RawCard:
    """The next request as it would be sent, in readable form."""

    request: bytes

    def bundle(self) -> dict[str, str]:
        """The request as indented JSON."""
        text = json.dumps(json.loads(self.request), indent=2, ensure_ascii=False)
        return {"text/plain": printable(text)}
