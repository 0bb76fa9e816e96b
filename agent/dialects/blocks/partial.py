"""A block of a message while its server sends it, made whole from its pieces. Knows no event."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...protocol.verbatim_json import array_elements, dumps, in_whole_pairs

_TEXTS = {"text": ("text",), "thinking": ("thinking", "signature")}
"""The members that are texts, by the kind of block."""


class WholeBlock(NamedTuple):
    """A block that has ended. `raw`: its JSON in one line, in the server's own words.

    `texts`: the texts of its members. `input`: the JSON text of a call's input. `result_of`: the id
    of the server's own call that it answers.
    """

    kind: str
    id: str | None
    name: str | None
    texts: Mapping[str, str]
    input: str
    result_of: str | None
    raw: bytes


@dataclass(slots=True)
class OpenBlock:
    """A block as it was announced, and what came since.

    `members`: the JSON text of each member. `number`: of the thought, for a view.
    """

    fields: Mapping[str, Any]
    members: Mapping[str, str]
    number: int = 0
    pieces: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def kind(self) -> str:
        """Its type."""
        return self.fields["type"]

    def told(self, member: str) -> str:
        """A member that is text. Empty if it is none."""
        value = self.fields.get(member)
        return value if isinstance(value, str) else ""

    def grow(self, member: str, piece: str) -> None:
        """Add a piece: of a text, of the JSON of `input`, or one of the `citations`."""
        self.pieces.setdefault(member, []).append(piece)

    def _text(self, member: str) -> str:
        """A text with its pieces. A signature comes whole, and the last one counts."""
        pieces = [self.told(member), *self.pieces.get(member, ())]
        return pieces[-1] if member == "signature" else "".join(pieces)

    def whole(self) -> WholeBlock:
        """The block with all of its pieces."""
        texts = {
            name: self._text(name)
            for name in _TEXTS.get(self.kind, ())
            if name in self.fields or name in self.pieces
        }
        members = {**self.members, **{name: dumps(text).decode() for name, text in texts.items()}}
        given = "".join(self.pieces.get("input", ())) or self.members.get("input") or "{}"
        if "input" in self.pieces:
            members["input"] = given
        if citations := self.pieces.get("citations"):
            before = self.members.get("citations", "[]")
            all_ = [*(array_elements(before) if before.startswith("[") else ()), *citations]
            members["citations"] = f"[{','.join(all_)}]"
        raw = ",".join(f"{dumps(name).decode()}:{value}" for name, value in members.items())
        return WholeBlock(
            self.kind,
            self.told("id") or None,
            self.told("name") or None,
            texts,
            given,
            self.told("tool_use_id") or None,
            _one_line(f"{{{raw}}}".encode()),
        )


def _one_line(raw: bytes) -> bytes:
    """The JSON as an item keeps it. A digest of it must be that of what is sent back."""
    return in_whole_pairs(raw).replace(b"\n", b" ").replace(b"\r", b" ")
