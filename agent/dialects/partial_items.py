"""Items that a server began and never finished, made whole from their deltas. Knows no event.

You have read the text of such items, so the conversation must have it. It becomes a message,
unless a finished message has it. A call counts only when its arguments are a whole JSON object.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..protocol.items import FunctionCall, Item, Message, call_id_of
from ..protocol.verbatim_json import loads

MOST_OPEN = 1_000
"""Most items tracked at once. Further ones are not made whole."""


@dataclass(slots=True)
class _Open:
    """An item as it was announced, and the pieces of its texts by kind and index."""

    fields: Mapping[str, Any]
    texts: dict[tuple[str, int], list[str]] = field(
        default_factory=dict[tuple[str, int], list[str]]
    )

    @property
    def call(self) -> tuple[str, str]:
        """Id of the call and name of the tool."""
        name = self.fields.get("name")
        return call_id_of(self.fields), name if isinstance(name, str) else ""

    def message(self, status: str) -> dict[str, Any]:
        """The message that its texts form."""
        parts = [
            {"type": kind, "refusal" if kind == "refusal" else "text": "".join(pieces)}
            for (kind, _), pieces in sorted(self.texts.items())
        ]
        return {**self.fields, "status": status, "content": parts}

    def whole_call(self) -> dict[str, Any] | None:
        """The call, if its arguments are complete."""
        arguments = "".join(self.texts.get(("arguments", 0), [])) or self.fields.get("arguments")
        try:
            whole = isinstance(arguments, str) and isinstance(loads(arguments.encode()), dict)
        except ValueError:
            return None
        return {**self.fields, "arguments": arguments, "status": "completed"} if whole else None


class Unfinished:
    """Messages and calls between their beginning and their end, by the id of the item."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._calls: dict[str, str] = {}
        self._last_call = _Open({})
        self._said: list[str] = []

    def begin(self, item_id: str, fields: Mapping[str, Any]) -> None:
        """Begin to track a message or a call that the server announced."""
        item = self._track(item_id, fields)
        if fields.get("type") == "function_call":
            self._last_call = item
            self._calls[item.call[0]] = item_id

    def call(self, item_id: str) -> tuple[str, str]:
        """Call id and tool of this item, or of the latest call when the item is not known."""
        return self._open.get(item_id, self._last_call).call

    def texts(self, item_id: str, kind: str, index: int) -> list[str]:
        """The pieces of an `output_text`, a `refusal` or `arguments`. The caller adds to them."""
        item = self._open.get(item_id)
        if kind == "arguments" and (item is None or item.fields.get("type") != "function_call"):
            item = self._last_call
        elif item is None:
            named = {"id": item_id} if item_id else {}
            item = self._track(item_id, {"type": "message", **named, "role": "assistant"})
        return item.texts.setdefault((kind, index), [])

    def end(self, item: Item) -> None:
        """Stop tracking an item, because the item itself has come."""
        self._open.pop(item.id or "", None)
        if isinstance(item, Message):
            self._open.pop("", None)
            self._said.append(item.text)
        elif isinstance(item, FunctionCall) and item.call_id in self._calls:
            self._open.pop(self._calls.pop(item.call_id), None)

    def rest(self, *, cut: bool) -> Iterator[dict[str, Any]]:
        """Messages that were shown, and whole calls, which have not come as items.

        `cut`: the answer was cut off.
        """
        for item in tuple(self._open.values()):
            match item.fields.get("type"):
                case "function_call" if not cut and all(item.call) and (call := item.whole_call()):
                    yield call
                case "message":
                    text = "".join(piece for pieces in item.texts.values() for piece in pieces)
                    if text.strip() and not any(text in said for said in self._said):
                        yield item.message("incomplete" if cut else "completed")
                case _:
                    pass

    def _track(self, item_id: str, fields: Mapping[str, Any]) -> _Open:
        item = _Open(fields)
        if item_id in self._open or len(self._open) < MOST_OPEN:
            self._open[item_id] = item
        return item
