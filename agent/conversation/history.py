"""The window: the items of the conversation that the model gets, kept as the bytes that are sent.

Appending costs only the new item. Old items change only by a rewrite. Knows no model and no disk.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

from ..frozen import frozen
from ..identity import addresses
from ..protocol.items import (
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    OtherCall,
    Part,
    Reasoning,
    ToolSearchCall,
    answered_call,
)
from ..text.images import image_tokens
from ..text.tokens import Counter, Estimate

_ESTIMATE = Estimate()
_SEAL = 650
"""Bytes of overhead in encrypted reasoning, without its base64. Codex counts the same way."""

_MOST_NAME, _KEPT, _DIGITS = 64, 51, 12
"""Most characters of a tool's name, and of its start and its hash where it is longer."""
_AGAIN = re.compile(r"__\d+$")
OF_SERVERS = "mcp__"
"""The beginning of the names of servers' tools, and of the namespaces in which they are loaded."""

LoadedKey = tuple[str, str]
"""Namespace and name of a function that a search for tools has loaded."""

EntryKind = Literal["instructions", "place", "digest", "cells", "names", "said", "model", "output"]
"""`said`: the person's prompt. `model`: the model's own items. `output`: of a tool. The others are
context that we add."""


@frozen
class Entry:
    """An item, with the turn and the cell it belongs to (`cell` is None where cells have no id).

    `kind`: its kind for the conversation, not for the API. `run`: the handle of the cell run that
    it shows.
    """

    item: Item
    turn: int
    cell: str | None
    kind: EntryKind = "model"
    run: str | None = None


Numbered = tuple[int, Entry]
"""An entry with its number: how many were made before it in the session."""


@frozen
class OpaqueStart:
    """The start of a new window, whose first `count` entries only the provider `by` can read.

    `local`: our own entries in place of those, kept beside them.
    """

    by: str
    count: int
    local: Sequence[Entry]


@frozen
class OpaquePrefix:
    """Only the provider `by` can read the first `count` entries. Others get `local`."""

    by: str
    count: int
    local: tuple[Numbered, ...]


class History:
    """The window: items in order. It only grows, until it is rewritten as a whole.

    Each entry keeps its number for good. `rewrites`: how often the window was rewritten. `spoken`:
    the dialects in whose own words some items are. `loaded`: the functions that searches for tools
    have made known. `searched`: it has such a search, or a call of what one has loaded.
    """

    def __init__(
        self, numbered: Iterable[Numbered] = (), made: int = 0, seal: OpaquePrefix | None = None
    ) -> None:
        """`made`: how many entries the session made, those that are gone included."""
        self.made = made
        self.rewrites = 0
        self.seal = seal
        self._begin(numbered)

    def append(self, entry: Entry) -> int:
        """Add one entry at the end. Returns its number."""
        self._add(self.made, entry)
        self.made += 1
        return self.made - 1

    def rewrite(
        self, entries: Sequence[Entry], opaque: OpaqueStart | None = None
    ) -> list[Numbered]:
        """Replace the window with these. Old entries keep their numbers. Returns the new ones."""
        numbers = {id(entry): n for n, entry in zip(self.numbers, self.entries, strict=True)}
        numbers |= {id(entry): n for n, entry in (self.seal.local if self.seal else ())}
        new: list[Numbered] = []

        def numbered(entry: Entry) -> Numbered:
            if (n := numbers.get(id(entry))) is None:
                n, self.made = self.made, self.made + 1
                new.append((n, entry))
            return n, entry

        window = [numbered(entry) for entry in entries]
        local = tuple(map(numbered, opaque.local)) if opaque else ()
        self.seal = OpaquePrefix(opaque.by, opaque.count, local) if opaque else None
        self.rewrites += 1
        self._begin(window)
        return new

    def restore(self, numbered: Iterable[Numbered]) -> None:
        """Replace the window with entries that it had, and their numbers."""
        self.rewrites += 1
        self._begin(numbered)

    @property
    def local(self) -> list[Entry]:
        """The window in a form that any provider can read."""
        if self.seal is None:
            return self.entries
        return [*(entry for _, entry in self.seal.local), *self.entries[self.seal.count :]]

    def _begin(self, numbered: Iterable[Numbered]) -> None:
        self.entries: list[Entry] = []
        self.numbers: list[int] = []
        self.tokens = 0
        # A new object, so that a server's part of the old window is no part of this one.
        self._wire = bytearray()
        self.spoken: set[str] = set()
        self.loaded: dict[LoadedKey, Mapping[str, Any]] = {}
        self.searched = False
        self._open: dict[str | None, FunctionCall | OtherCall] = {}
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
        self.spoken.update(item.native)
        self.loaded.update(loaded_by(item))
        self.searched = self.searched or is_of_search(item)
        if isinstance(item, FunctionCall | OtherCall):
            self._open[item.call_id] = item
        else:
            self._open.pop(answered_call(item), None)

    @property
    def wire(self) -> bytearray:
        """All items as JSON, joined by commas. It is no copy, so read it at once."""
        return self._wire

    @property
    def open_calls(self) -> tuple[FunctionCall | OtherCall, ...]:
        """Calls that have no output yet."""
        return tuple(self._open.values())


class WindowCopy:
    """A copy of a window, which tells whether somebody changed the window meanwhile."""

    def __init__(self) -> None:
        self._of = bytearray()
        self._wire = bytearray()
        self._entries: list[Entry] = []
        self._at = b""
        self._numbers: list[int] = []

    def follow(self, history: History) -> None:
        """Take over the present window. It costs only what is new since the last time."""
        if history.wire is not self._of:
            self._of, self._entries, self._numbers, self._at = history.wire, [], [], b""
            self._wire.clear()
        self._wire += memoryview(history.wire)[len(self._wire) :]
        self._numbers += history.numbers[len(self._entries) :]
        new = history.entries[len(self._entries) :]
        self._entries += new
        self._at += addresses(new)

    def differs(self, history: History, *, grown: bool = False) -> bool:
        """Whether the window is another one than the copy. Never before the first `follow`.

        `grown`: it may have grown since, or been rewritten as a whole.
        """
        if not self._wire or (grown and history.wire is not self._of):
            return False
        now = addresses(history.entries)
        begins = history.wire.startswith(self._wire)
        same = history.wire is self._of and begins
        same &= grown or len(history.wire) == len(self._wire)
        same &= now.startswith(self._at) if grown else now == self._at
        return not same

    def put_back(self, history: History) -> None:
        """Make the window again what the copy is."""
        history.restore(zip(self._numbers, self._entries, strict=True))


def loaded_by(item: Item) -> dict[LoadedKey, Mapping[str, Any]]:
    """The functions that an item makes known. A function alone has a namespace of its own name."""
    if item.type != "tool_search_output":
        return {}
    groups = _dicts((item.model_extra or {}).get("tools"))
    return {
        (f"{group.get('name')}", f"{it.get('name')}"): it
        for group in groups
        for it in _dicts(group.get("tools", [group]))
    }


def is_of_search(item: Item) -> bool:
    """True for a search for tools that we answer, its output, and a call in a namespace of it."""
    if isinstance(item, FunctionCall):
        return (item.namespace or "").startswith(OF_SERVERS)
    ours = (item.model_extra or {}).get("execution") != "server"
    return isinstance(item, ToolSearchCall) or (item.type == "tool_search_output" and ours)


def loaded_name(namespace: str | None, name: str) -> str:
    """The name of a loaded tool where there are no namespaces, such as `mcp__git__git_log`.

    A tool that was loaded again has the same. Most servers take 64 characters.
    """
    base = base_namespace(namespace or "")
    text = f"{base}__{name}" if base.startswith(OF_SERVERS) else name
    if len(text) <= _MOST_NAME:
        return text
    digest = hashlib.sha1(text.encode(errors="replace"), usedforsecurity=False).hexdigest()
    return f"{text[:_KEPT]}_{digest[:_DIGITS]}"


def base_namespace(namespace: str) -> str:
    """A namespace without the number that it has where it is not the first of its name."""
    return _AGAIN.sub("", namespace)


def _dicts(value: object) -> list[dict[str, Any]]:
    found = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", it) for it in found if isinstance(it, dict)]


def item_tokens(item: Item, counter: Counter = _ESTIMATE, model: str = "") -> int:
    """About how many tokens an item costs `model`. An image counts as one, not as its base64."""
    match item:
        case Message(content=tuple(parts)) | FunctionCallOutput(output=tuple(parts)):
            return sum(_part_tokens(part, counter, model) for part in parts)
        case Reasoning(encrypted_content=str(sealed)) if sealed:
            return max(0, len(sealed) * 3 // 4 - _SEAL) // 4
        case _:
            return counter.count(item.neutral)


def _part_tokens(part: Part, counter: Counter, model: str) -> int:
    if part.image_url:
        return image_tokens(part.image_url, model)
    return counter.count(part.text or part.refusal or "")
