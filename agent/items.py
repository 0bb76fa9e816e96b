"""What is in a conversation: items of the Responses API, kept verbatim. Knows no transport.

An item is parsed tolerantly: unknown kinds, fields and values are kept, and what is sent back is
what came, key for key (`Item.wire`). Fields named here are those something reads.
Vocabulary: Open Responses 2026-04-24, and the OpenAI superset.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError, model_serializer


def dumps(value: object) -> bytes:
    """Compact JSON in UTF-8; the one serialiser of all that is sent or recorded."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8: keep it as its JSON escape
        return json.dumps(value, separators=(",", ":")).encode()


class Part(BaseModel):
    """One content part of a message or of a tool's output."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None


class Item(BaseModel):
    """One entry of the conversation. Serialises to exactly what it was made from."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    id: str | None = None
    _wire: bytes = PrivateAttr(default=b"")

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Parse `data`, keeping it as the wire form. Raises pydantic's ValidationError."""
        item = cls.model_validate(data)
        item._wire = dumps(data)
        return item

    @property
    def wire(self) -> bytes:
        """The item as JSON, as it is sent and recorded."""
        return self._wire

    @model_serializer
    def _verbatim(self) -> dict[str, Any]:
        return json.loads(self._wire)


class Message(Item):
    """Something said, by `user`, `assistant`, `developer` or `system`."""

    role: str
    content: str | tuple[Part, ...]
    phase: str | None = None

    @property
    def text(self) -> str:
        """All of its text, refusals included."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text or part.refusal or "" for part in self.content)


class Reasoning(Item):
    """What the model thought: a summary to show, and an opaque form to send back."""

    summary: tuple[Part, ...] = ()
    encrypted_content: str | None = None


class FunctionCall(Item):
    """The model asks for a tool. `arguments` is JSON text, not yet trusted."""

    call_id: str
    name: str
    arguments: str = ""


class FunctionCallOutput(Item):
    """What a tool gave back for the call of the same `call_id`."""

    call_id: str
    output: str | tuple[Part, ...]


class OtherItem(Item):
    """Any kind nothing here reads, or a known kind in a shape nothing here knows."""


_KINDS: dict[str, type[Item]] = {
    "message": Message,
    "reasoning": Reasoning,
    "function_call": FunctionCall,
    "function_call_output": FunctionCallOutput,
}


def parse_item(data: Mapping[str, Any]) -> Item:
    """The item in `data`. Never fails on what a server may add or leave out; a `type` it must have.

    Raises ValueError when `data` has no textual `type`.
    """
    kind = data.get("type")
    if not isinstance(kind, str):
        raise ValueError("an item without a type")
    try:
        return _KINDS.get(kind, OtherItem).of(data)
    except ValidationError:
        item = OtherItem.model_construct(type=kind)
        item._wire = dumps(data)  # pyright: ignore[reportPrivateUsage]
        return item


def text_part(text: str) -> dict[str, str]:
    """An `input_text` content part."""
    return {"type": "input_text", "text": text}


def image_part(data_url: str) -> dict[str, str]:
    """An `input_image` content part from a `data:` URL."""
    return {"type": "input_image", "image_url": data_url, "detail": "auto"}


def message(role: str, *parts: Mapping[str, str]) -> Message:
    """A message of our side, from content parts."""
    return Message.of({"type": "message", "role": role, "content": list(parts)})


def call_output(call_id: str, parts: Sequence[Mapping[str, str]]) -> FunctionCallOutput:
    """A tool's answer. Text alone is sent as a plain string, which every server accepts."""
    plain = len(parts) == 1 and parts[0].get("type") == "input_text"
    output = parts[0]["text"] if plain else cast("object", list(parts))
    return FunctionCallOutput.of(
        {"type": "function_call_output", "call_id": call_id, "output": output}
    )
