"""What `%agent context` shows: what is in the window, by kind and by turn. Only adds up."""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass

from ..agent.history import Entry, item_tokens
from ..agent.items import FunctionCallOutput, Message
from ..agent.session import Conversation
from ..agent.tokens import Counter, estimate

KINDS = {
    "head": ("instructions and tools", "#6b7280"),
    "instructions": ("AGENTS.md", "#8b5cf6"),
    "place": ("where we are", "#a78bfa"),
    "digest": ("the digest", "#ec4899"),
    "cells": ("your cells", "#0ea5e9"),
    "names": ("your variables", "#22c55e"),
    "said": ("you said", "#f59e0b"),
    "model": ("the model", "#ef4444"),
    "output": ("outputs of steps", "#14b8a6"),
}
"""Each kind of entry in words, and its colour."""

_SAID = 60


@dataclass(frozen=True, slots=True)
class ContextCard:
    """Tokens by kind; of each turn its words, its cell and its tokens.

    `server`: what the server counts, `exact`: our own count is the model's tokenizer's.
    """

    kinds: Mapping[str, int]
    turns: tuple[tuple[str, int], ...]
    window: int | None
    server: int | None
    cached: float | None
    exact: bool = False

    def bundle(self) -> dict[str, str]:
        """The card as text and as HTML."""
        return {"text/plain": self._text(), "text/html": self._html()}

    @property
    def _total(self) -> int:
        return sum(self.kinds.values())

    def _title(self) -> str:
        share = f" of {self.window:,} ({self._total / self.window:.0%})" if self.window else ""
        server = f"; the server counts {self.server:,}" if self.server else ""
        cached = f"; {self.cached:.0%} of the last request was cached" if self.cached else ""
        about = "" if self.exact else "about "
        return f"In the window: {about}{self._total:,} tokens{share}{server}{cached}."

    def _rows(self) -> list[tuple[str, int]]:
        return [(KINDS[kind][0], tokens) for kind, tokens in self.kinds.items() if tokens]

    def _text(self) -> str:
        lines = [self._title()]
        for name, tokens in self._rows():
            bar = "█" * round(30 * tokens / self._total)
            lines.append(f"  {name:<24}{tokens:>9,}  {bar}")
        lines += ["by turn:"] if self.turns else []
        lines += [f"  {tokens:>9,}  {words}" for words, tokens in self.turns]
        return "\n".join(lines)

    def _html(self) -> str:
        of = self.window or self._total or 1
        bar = "".join(
            f"<div title='{KINDS[kind][0]}: {tokens:,}'"
            f" style='width:{100 * tokens / of:.2f}%;background:{KINDS[kind][1]}'></div>"
            for kind, tokens in self.kinds.items()
            if tokens
        )
        kinds = "".join(
            f"<tr><td style='text-align:left'><span style='color:{colour}'>■</span> {name}</td>"
            f"<td>{tokens:,}</td><td>{tokens / max(self._total, 1):.0%}</td></tr>"
            for kind, tokens in self.kinds.items()
            if tokens
            for name, colour in [KINDS[kind]]
        )
        turns = "".join(
            f"<tr><td style='text-align:left'>{html.escape(words)}</td><td>{tokens:,}</td></tr>"
            for words, tokens in self.turns
        )
        return (
            f"<div>{html.escape(self._title())}</div>"
            "<div style='display:flex;height:12px;max-width:640px;margin:6px 0;"
            f"border:1px solid #9ca3af;border-radius:3px;overflow:hidden'>{bar}</div>"
            f"<table>{kinds}</table>{f'<table>{turns}</table>' if turns else ''}"
        )


@dataclass(frozen=True, slots=True)
class RawCard:
    """The next request as it would be sent, readable."""

    request: bytes

    def bundle(self) -> dict[str, str]:
        """The request as indented JSON."""
        return {"text/plain": json.dumps(json.loads(self.request), indent=2, ensure_ascii=False)}


@dataclass(frozen=True, slots=True)
class Counting:
    """How tokens are counted: by the model's tokenizer where it is at hand."""

    counter: Counter
    model: str

    def of(self, entry: Entry) -> int:
        """Tokens of one entry."""
        return item_tokens(entry.item, self.counter, self.model)


def context_card(
    talk: Conversation, fields: bytes, window: int | None, counting: Counting
) -> ContextCard:
    """What a conversation and the fixed `fields` of its requests come to."""
    kinds = dict.fromkeys(KINDS, 0) | {"head": counting.counter.count(fields)}
    turns: dict[int, list[Entry]] = {}
    for entry in talk.history.entries:
        kinds[entry.kind] += counting.of(entry)
        turns.setdefault(entry.turn, []).append(entry)
    last = talk.last
    return ContextCard(
        kinds,
        tuple(_turn(number, entries, counting) for number, entries in turns.items()),
        window,
        talk.size(estimate(fields)) if talk.counted else None,
        last.cached / last.input if last and last.input else None,
        counting.counter.exact,
    )


def _turn(number: int, entries: list[Entry], counting: Counting) -> tuple[str, int]:
    said = next((_text(entry) for entry in entries if entry.kind == "said"), "")
    line = said.strip().partition("\n")[0]
    steps = sum(isinstance(entry.item, FunctionCallOutput) for entry in entries)
    cell = f", cell {entries[0].cell[:8]}" if entries[0].cell else ""
    words = f"turn {number}{cell}, {steps} steps: {line[:_SAID]}{'…' * (len(line) > _SAID)}"
    return words, sum(map(counting.of, entries))


def _text(entry: Entry) -> str:
    return entry.item.text if isinstance(entry.item, Message) else ""
