"""Three other ways to make a window shorter, over the same items. Pure.

`codex_way` does it as openai/codex does locally (rust-v0.149.0, codex-rs/core/src/compact.rs). When
the window is 90 % full, the history becomes the user's recent messages and a user message with a
summary. It takes the newest messages first, text only, up to 20,000 tokens at four bytes each. The
one that crosses the limit is cut in its middle. `one_summary` keeps a summary and the last prompt.
`truncated` drops the oldest items until the rest fits.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from inkernel.agent.compaction.units import tokens_of, units_of
from inkernel.agent.conversation.history import Entry, item_tokens
from inkernel.agent.protocol.items import Message, message, text_part
from inkernel.agent.protocol.verbatim_json import loads

from .notetaker import take_notes

MAX_NOTE_WORDS = 700
"""Most words of a summary: as many as we ask for at 32,000 tokens."""
FULL = 0.9
"""Part of the window at which it compacts."""
USERS = 20_000
"""Tokens of the user's messages that are kept, four bytes each."""
PREFIX = "A summary of what came before:"
"""The beginning of the summary's message. Codex's own has about eighty tokens."""


Compacted = Callable[[Sequence[Entry]], Iterable[Entry]]
Summarise = Callable[[Sequence[Any]], str]
"""From items to a summary."""


def codex_way(entries: Sequence[Entry], window: int, fixed: int) -> list[Entry]:
    """The window at the end. `fixed`: tokens of instructions and tools."""
    return _compacting(entries, window, fixed, _as_codex)


def one_summary(
    entries: Sequence[Entry], window: int, fixed: int, summarise: Summarise
) -> list[Entry]:
    """The window at the end, with one summary of all that came before."""

    def compacted(history: Sequence[Entry]) -> Iterator[Entry]:
        yield from _standing(history)
        yield from [entry for entry in history if entry.kind == "said"][-1:]
        yield _summary(history, summarise)

    return _compacting(entries, window, fixed, compacted)


def _compacting(
    entries: Sequence[Entry], window: int, fixed: int, compacted: Compacted
) -> list[Entry]:
    history, tokens, last = list[Entry](), 0, ""
    for entry in entries:
        asks = entry.kind == "model" and last != "model"
        if asks and fixed + tokens >= window * FULL:
            history = list(compacted(history))
            tokens = tokens_of(history)
        history.append(entry)
        tokens += item_tokens(entry.item)
        last = entry.kind
    return history


def truncated(entries: Sequence[Entry], window: int, fixed: int) -> list[Entry]:
    """The latest items that fit. A call and its output are dropped together."""
    left, kept = window - fixed, list[Entry]()
    for unit in reversed(units_of(entries)):
        left -= tokens_of(unit)
        if left < 0:
            break
        kept = [*unit, *kept]
    return kept


def _as_codex(history: Sequence[Entry]) -> Iterator[Entry]:
    """The items that stay: environment, the user's messages, a summary by the same note-taker."""
    yield from _standing(history)
    kept, left = list[Entry](), USERS
    for entry in reversed([entry for entry in history if entry.kind == "said"]):
        text = entry.item.text if isinstance(entry.item, Message) else ""
        tokens = -(-len(text.encode()) // 4)
        if left <= 0:
            break
        cut = text if tokens <= left else _middle_cut(text, left)
        item = message("user", text_part(cut))
        kept.insert(0, Entry(item, entry.turn, entry.cell, "said"))
        left -= tokens
    yield from kept
    yield _summary(history, mechanical_summary)


def mechanical_summary(items: Sequence[Any]) -> str:
    """The summary by the same note-taker."""
    return take_notes(items, MAX_NOTE_WORDS).as_text()


def _standing(history: Sequence[Entry]) -> Iterator[Entry]:
    for kind in ("instructions", "place"):
        yield from [entry for entry in history if entry.kind == kind][-1:]


def _summary(history: Sequence[Entry], summarise: Summarise) -> Entry:
    items: list[Any] = [loads(entry.item.wire) for entry in history]
    text = f"{PREFIX}\n{summarise(items)}"
    return Entry(message("user", text_part(text)), history[-1].turn, None, "digest")


def _middle_cut(text: str, tokens: int) -> str:
    """Its start and end, together so many tokens of four bytes."""
    data, half = text.encode(), tokens * 2
    head, tail = data[:half], data[len(data) - half :]
    lost = -(-(len(data) - 2 * half) // 4)
    ends = (part.decode(errors="ignore") for part in (head, tail))
    return f"…{lost} tokens truncated…".join(ends)
