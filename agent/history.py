"""The conversation so far: an append-only list of items, kept as the bytes that are sent.

Appending costs what is new. Knows no model and no disk.
"""

from dataclasses import dataclass
from typing import Literal

from .images import image_tokens
from .items import FunctionCall, FunctionCallOutput, Item, Message, Part, Reasoning
from .tokens import Counter, Estimate

_ESTIMATE = Estimate()
_SEAL = 650
"""Bytes of encrypted reasoning that are not thought; the rest is base64 (Codex reckons so)."""

Kind = Literal["instructions", "place", "cells", "names", "said", "model", "output"]
"""Told of where we are, said by the person, by the model, or put out by a tool."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An item, the turn and the cell it belongs to (`cell` is None where cells have no id).

    `kind`: what it is to the conversation, not to the API.
    """

    item: Item
    turn: int
    cell: str | None
    kind: Kind = "model"


class History:
    """Items in order. Nothing in it is ever changed."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.tokens = 0
        self._wire = bytearray()
        self._open: dict[str, FunctionCall] = {}

    def append(self, entry: Entry) -> None:
        """Add one entry at the end."""
        item = entry.item
        self.entries.append(entry)
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
