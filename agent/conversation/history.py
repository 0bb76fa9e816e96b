"""What the model has of the conversation: items in order, kept as the bytes that are sent.

Appending costs what is new; what is there changes only by a rewrite. Knows no model and no disk.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..protocol.items import FunctionCall, FunctionCallOutput, Item, Message, Part, Reasoning
from ..text.images import image_tokens
from ..text.tokens import Counter, Estimate

_ESTIMATE = Estimate()
_SEAL = 650
"""Bytes of encrypted reasoning that are not thought; the rest is base64 (Codex reckons so)."""

EntryKind = Literal["instructions", "place", "digest", "cells", "names", "said", "model", "output"]
"""Told of where we are or were, said by the person, by the model, or put out by a tool."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An item, the turn and the cell it belongs to (`cell` is None where cells have no id).

    `kind`: what it is to the conversation, not to the API. `run`: the handle of the cell run that
    it tells.
    """

    item: Item
    turn: int
    cell: str | None
    kind: EntryKind = "model"
    run: str | None = None


Numbered = tuple[int, Entry]
"""An entry, and how many were made before it in the session."""


@dataclass(frozen=True, slots=True)
class OpaquePrefix:
    """The first `count` entries can only be read by the provider `by`; `local` stands for them."""

    by: str
    count: int
    local: tuple[Numbered, ...]


class History:
    """The window: items in order, that only grow, until it is rewritten as a whole.

    Each entry has a number for good. `rewrites`: how often it was rewritten.
    """

    def __init__(
        self, numbered: Iterable[Numbered] = (), made: int = 0, seal: OpaquePrefix | None = None
    ) -> None:
        """`made`: how many entries there were in the session, those that are gone among them."""
        self.made = made
        self.rewrites = 0
        self.seal = seal
        self._begin(numbered)

    def append(self, entry: Entry) -> int:
        """Add one entry at the end; its number."""
        self._add(self.made, entry)
        self.made += 1
        return self.made - 1

    def rewrite(
        self,
        entries: Sequence[Entry],
        by: str = "",
        count: int = 0,
        local: Sequence[Entry] = (),
    ) -> list[Numbered]:
        """Have these in place of all; those that were there keep their numbers. Returns the new.

        `by`: the provider that alone can read the first `count`; then `local` stands for them.
        """
        numbers = {id(entry): n for n, entry in zip(self.numbers, self.entries, strict=True)}
        numbers |= {id(entry): n for n, entry in (self.seal.local if self.seal else ())}
        new: list[Numbered] = []

        def numbered(entry: Entry) -> Numbered:
            if (n := numbers.get(id(entry))) is None:
                n, self.made = self.made, self.made + 1
                new.append((n, entry))
            return n, entry

        window = [numbered(entry) for entry in entries]
        self.seal = OpaquePrefix(by, count, tuple(map(numbered, local))) if by else None
        self.rewrites += 1
        self._begin(window)
        return new

    @property
    def local(self) -> list[Entry]:
        """The window without what only a provider can read."""
        if self.seal is None:
            return self.entries
        return [*(entry for _, entry in self.seal.local), *self.entries[self.seal.count :]]

    def _begin(self, numbered: Iterable[Numbered]) -> None:
        self.entries: list[Entry] = []
        self.numbers: list[int] = []
        self.tokens = 0
        # A new object: what a server holds of the old one is no part of this.
        self._wire = bytearray()
        self._open: dict[str, FunctionCall] = {}
        for n, entry in numbered:
            self._add(n, entry)

    def _add(self, n: int, entry: Entry) -> None:
        item = entry.item
        self.entries.append(entry)
        self.numbers.append(n)
        if self._wire:
            self._wire += b","
        self._wire += item.wire
        self.tokens += item_tokens(item)
        if isinstance(item, FunctionCall):
            self._open[item.call_id] = item
        elif isinstance(item, FunctionCallOutput):
            self._open.pop(item.call_id, None)

    @property
    def wire(self) -> bytearray:
        """All items as JSON, joined by commas. Not a copy: to be read, at once."""
        return self._wire

    @property
    def open_calls(self) -> tuple[FunctionCall, ...]:
        """Calls that have no output yet."""
        return tuple(self._open.values())


def item_tokens(item: Item, counter: Counter = _ESTIMATE, model: str = "") -> int:
    """About how many tokens an item costs `model`; an image as an image, not as its base64."""
    match item:
        case Message(content=tuple(parts)) | FunctionCallOutput(output=tuple(parts)):
            return sum(_part_tokens(part, counter, model) for part in parts)
        case Reasoning(encrypted_content=str(sealed)) if sealed:
            return max(0, len(sealed) * 3 // 4 - _SEAL) // 4
        case _:
            return counter.count(item.wire)


def _part_tokens(part: Part, counter: Counter, model: str) -> int:
    if part.image_url:
        return image_tokens(part.image_url, model)
    return counter.count(part.text or part.refusal or "")
