"""The conversation so far: an append-only list of items, kept as the bytes that are sent.

Appending costs what is new. Knows no model and no disk.
"""

from dataclasses import dataclass

from .items import FunctionCall, FunctionCallOutput, Item
from .tokens import estimate

IMAGE_TOKENS = 1_844
"""What Codex reckons for one image (7,373 bytes at 4 a token); the server's own count follows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An item, the turn and the cell it belongs to (`cell` is None where cells have no id)."""

    item: Item
    turn: int
    cell: str | None


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


def item_tokens(item: Item) -> int:
    """About how many tokens an item costs; an image counts as an image, not as its base64."""
    if isinstance(item, FunctionCallOutput) and not isinstance(item.output, str):
        return sum(IMAGE_TOKENS if p.image_url else estimate(p.text or "") for p in item.output)
    return estimate(item.wire)
