"""One answer of a streamed completion, put together from its pieces. Does no I/O, raises nothing.

A piece of a call should have the index of its call, and the first one its id and name. Servers
leave out the index (Gemini), have 0 for all (its proxies), leave out ids, repeat ids and names, or
send arguments as an object (read in 2026-11: open-webui/computer#224, su-kaka/gcli2api#406).
"""

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple, cast

from ..protocol.items import Item, parse_item
from ..protocol.verbatim_json import dumps, loads
from .native import with_native

CHAT = "chat"
"""The name of this dialect in an item."""
MOST_CALLS = 1_000
"""Most calls of one completion. Pieces of further ones are left out."""
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
"""Members with the text of the model's reasoning, by vendors."""
_GOES_BACK = re.compile("reason|think|thought|signature|^extra_content$|^provider_specific_fields$")
"""Members of an answer that go back: reasoning under any name, and what Gemini and LiteLLM sign.

Others do not. Groq and Cerebras refuse a request with a member that they do not know.
"""
_SHOWN = ("text", "summary", "thinking")
"""Where an entry of `reasoning_details` or of a list of content has its text."""
_JOINED = (*_SHOWN, "data")
"""Members of an entry that come in pieces. Of another one the last counts."""
_MARKS = re.compile(r'["{}\\]')
"""The characters that say how deep in objects a JSON text is."""
_KNOWN = ("index", "id", "type", "function")
"""Members of a piece of a call that are read here. The others go back with the call."""


class ChatPiece(NamedTuple):
    """More text of one kind: `text`, `thought`, or of `call`."""

    kind: str
    text: str
    call: "StreamedCall | None" = None


@dataclass(slots=True)
class _Depth:
    """How deep in objects a JSON text ends, read piece by piece. `escaped`: where a mark is none.

    A call whose name comes with each piece is asked each time if it is whole. Only at depth 0 is
    there anything to parse.
    """

    value: int = 0
    in_text: bool = False
    read: int = 0
    escaped: int = -1

    def grow(self, piece: str) -> None:
        for mark in _MARKS.finditer(piece):
            at = self.read + mark.start()
            if at == self.escaped:
                continue
            if mark[0] == "\\":
                self.escaped = at + 1
            elif mark[0] == '"':
                self.in_text = not self.in_text
            elif not self.in_text:
                self.value += 1 if mark[0] == "{" else -1
        self.read += len(piece)


@dataclass(slots=True)
class StreamedCall:
    """A call as far as it has come. `given`: the id that the server gave it, or nothing.

    `more`: members that nobody here knows, such as a signature. They go back with the call.
    """

    call_id: str
    given: str
    index: int | None
    name: str = ""
    pieces: list[str] = field(default_factory=list[str])
    more: dict[str, Any] = field(default_factory=dict[str, Any])
    _depth: _Depth = field(default_factory=_Depth)

    def grow(self, piece: str) -> None:
        """Add a piece of its arguments."""
        self.pieces.append(piece)
        self._depth.grow(piece)

    @property
    def arguments(self) -> str:
        """Its arguments so far."""
        return "".join(self.pieces)

    @property
    def is_whole(self) -> bool:
        """True if its arguments are a JSON object."""
        if not self.pieces or self._depth.value or self._depth.in_text:
            return False
        try:
            return isinstance(loads(self.arguments.encode()), dict)
        except ValueError:
            return False


class StreamedCalls:
    """The calls of one completion, in the order in which they began."""

    def __init__(self) -> None:
        self.calls: list[StreamedCall] = []

    def take(self, piece: Mapping[str, Any]) -> tuple[StreamedCall, str] | None:
        """Add a piece. Returns its call, and the new text of the arguments."""
        told = piece.get("function")
        function = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
        index, id_, name = _index(piece.get("index")), _id(piece.get("id")), function.get("name")
        name, text = name if isinstance(name, str) else "", _text(function.get("arguments"))
        call = self._known(index, id_, name)
        if call and name and call.name and text.strip() and call.is_whole:
            if (call.name, call.arguments) == (name, text):
                return call, ""  # the server repeats the whole call
            call = None
        if call is None:
            if len(self.calls) == MOST_CALLS:
                return None
            call = self._begun(index, id_)
        call.given, call.name = call.given or id_, call.name or name
        if text:
            call.grow(text)
        more = {it: piece[it] for it in piece if it not in _KNOWN and piece[it] is not None}
        if beyond := {it: function[it] for it in function if it not in ("name", "arguments")}:
            more["function"] = call.more.get("function", {}) | beyond
        call.more |= more
        return call, text

    def _known(self, index: int | None, id_: str, name: str) -> StreamedCall | None:
        """The call that a piece goes on with. None if it begins one, which always has a name."""
        at = [it for it in reversed(self.calls) if index is None or it.index == index]
        if not at or not id_:
            return at[0] if at else None
        same = next((it for it in at if it.given == id_), None)
        begun = at[0].given or at[0].pieces
        return same or (None if name and begun else at[0])

    def _begun(self, index: int | None, id_: str) -> StreamedCall:
        taken = id_ in (call.call_id for call in self.calls)
        call = StreamedCall(
            f"call_{uuid.uuid4().hex[:24]}" if taken or not id_ else id_, id_, index
        )
        self.calls.append(call)
        return call


def _index(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _id(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _text(value: object) -> str:
    """The text of arguments, which may be an object."""
    if value is None or isinstance(value, str):
        return value or ""
    return dumps(value).decode()


class ChatAnswer:
    """The model's message as far as it has come."""

    def __init__(self) -> None:
        self.calls = StreamedCalls()
        self._members: dict[str, list[Any]] = {}
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._thoughts: list[str] = []
        self._thinks_in = ""

    @property
    def is_empty(self) -> bool:
        """True if nothing has come."""
        return not (self._members or self._texts or self._refusals or self.calls.calls)

    def take(self, delta: Mapping[str, Any]) -> Iterator[ChatPiece]:
        """Add a delta. Gives its new texts."""
        for name, value in delta.items():
            if name == "content" and isinstance(value, str | list):
                yield from self._content(cast("str | list[object]", value))
            elif name == "refusal" and isinstance(value, str) and value:
                self._refusals.append(value)
                yield ChatPiece("text", value)
            elif name == "tool_calls" and isinstance(value, list):
                for piece in _dicts(cast("list[object]", value)):
                    if taken := self.calls.take(piece):
                        yield ChatPiece("call", taken[1], taken[0])
            elif value is not None and _GOES_BACK.search(name):
                self._members.setdefault(name, []).append(value)
                yield from self._thought(name, value)

    def items(self, *, cut: bool, torn: bool) -> Iterator[Item]:
        """The items of the answer. `cut`: it was cut off. `torn`: its end is not known.

        A call that may not be whole is left out.
        """
        said = {name: _merged(values) for name, values in self._members.items()}
        content = said.pop("content", None)
        text, refusal = "".join(self._texts), "".join(self._refusals)
        thoughts = "".join(self._thoughts)
        if content and not (text or refusal):
            said["content"] = content
        native = {} if refusal or not content else {"content": content}
        if thoughts or (said and not (text or refusal)):
            summary = [{"type": "summary_text", "text": thoughts}] if thoughts else []
            yield _item({"type": "reasoning", "summary": summary}, said)
        else:
            native |= said
        if text or refusal:
            yield _item(_message(text, refusal, cut), native)
        for call in self.calls.calls:
            if call.name and not cut and (call.is_whole or not torn):
                yield with_native(_call(call), CHAT, dumps(call.more))

    def _content(self, value: str | list[object]) -> Iterator[ChatPiece]:
        """The text in a content. Mistral sends lists, with the model's thoughts in them."""
        if isinstance(value, str):
            if value and "content" in self._members:
                self._members["content"].append([{"type": "text", "text": value}])
            entries: list[dict[str, Any]] = [{"type": "text", "text": value}] if value else []
        else:
            entries = [it for it in _dicts(value) if _is_content(it)]
            if "content" not in self._members:
                self._members["content"] = [[{"type": "text", "text": it}] for it in self._texts]
            self._members["content"].append(entries)
        for entry in entries:
            if entry["type"] == "text":
                self._texts.append(entry["text"])
                yield ChatPiece("text", entry["text"])
            elif "thinking" in entry:
                yield from self._thought("content", [entry])

    def _thought(self, name: str, value: object) -> Iterator[ChatPiece]:
        """The text of a thought. Some servers send it twice, so the first member counts."""
        of_vendor = name in _THOUGHTS or not isinstance(value, str)
        text = _shown(value) if of_vendor else ""
        if text and self._thinks_in in ("", name):
            self._thinks_in = name
            self._thoughts.append(text)
            yield ChatPiece("thought", text)


def _message(text: str, refusal: str, cut: bool) -> dict[str, Any]:
    told = {"type": "output_text", "text": text}
    refused = {"type": "refusal", "refusal": refusal}
    parts = [part for part, is_there in ((told, text), (refused, refusal)) if is_there]
    status = {"status": "incomplete"} if cut else {}
    return {"type": "message", "role": "assistant", **status, "content": parts}


def _call(call: StreamedCall) -> dict[str, Any]:
    return {
        "type": "function_call",
        "call_id": call.call_id,
        "name": call.name,
        "arguments": call.arguments or "{}",
    }


def _item(fields: dict[str, Any], native: dict[str, Any]) -> Item:
    """The item with these fields, and with the members that only this dialect knows."""
    return with_native(fields, CHAT, dumps(native)) if native else parse_item(fields)


def _is_content(entry: dict[str, Any]) -> bool:
    """True if the entry of a content has a type, and if it is no empty text."""
    kind, text = entry.get("type"), entry.get("text")
    return isinstance(kind, str) and (kind != "text" or (isinstance(text, str) and text != ""))


def _shown(value: object) -> str:
    """The text in a list of entries that tell a thought, at any depth."""
    if isinstance(value, str):
        return value
    entries = _dicts(cast("list[object]", value)) if isinstance(value, list) else ()
    return "".join(_shown(entry.get(key)) for entry in entries for key in _SHOWN)


def _merged(values: list[Any]) -> Any:
    """The value of a member that came in pieces."""
    if all(isinstance(value, str) for value in values):
        return "".join(values)
    if all(isinstance(value, list) for value in values):
        return _entries(chain.from_iterable(values))
    if all(isinstance(value, dict) for value in values):
        return {key: it for value in values for key, it in value.items()}
    return values[-1]


def _entries(pieces: Iterable[object]) -> list[Any]:
    """The entries of a list that came in pieces: neighbours that go on with each other are one.

    OpenRouter numbers them, and has the signature in the last piece (agno-agi/agno#8794).
    """
    groups: list[list[Any]] = []
    for piece in pieces:
        if groups and _goes_on(groups[-1][-1], piece):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return [_entry(group) if len(group) > 1 else group[0] for group in groups]


def _goes_on(before: object, after: object) -> bool:
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return False
    last, piece = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
    if last.get("type") != piece.get("type"):
        return False
    if last.get("index") is not None or piece.get("index") is not None:
        return last.get("index") == piece.get("index")
    return any(key in piece for key in _SHOWN) and not last.get("signature")


def _entry(group: list[dict[str, Any]]) -> dict[str, Any]:
    """The entry that came in these pieces."""
    made: dict[str, Any] = {}
    for key in dict.fromkeys(chain.from_iterable(group)):
        values = [it for piece in group if (it := piece.get(key)) is not None]
        if values:
            made[key] = _merged(values) if key in _JOINED else values[-1]
        else:
            made[key] = None
    return made


def _dicts(values: Iterable[object]) -> Iterator[dict[str, Any]]:
    return (cast("dict[str, Any]", value) for value in values if isinstance(value, dict))
