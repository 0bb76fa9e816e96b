"""The units of a window, which stay or go as a whole, and how one is made smaller. Pure.

A call stays with its output, and reasoning with the items after it. Knows no digest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from ..conversation.history import Entry, item_tokens
from ..frozen import frozen
from ..protocol.items import FunctionCallOutput, Item, Message, call_output, message, text_part
from ..protocol.verbatim_json import loads
from ..text.tokens import cut_middle, estimate

KeepText = Callable[[str, int], str]
"""Keeps the text of a turn (its number) that is about to be cut. Returns the text's handle."""

Unit = tuple[Entry, ...]

CUT_TEXT_TOKENS = 200
"""Tokens left of a text that is cut."""

LONG_TEXT_TOKENS = 400
"""Tokens above which a text is cut."""


def units_of(entries: Sequence[Entry]) -> list[Unit]:
    """The entries in units: a sample with its calls and their outputs, or one other entry."""
    units: list[list[Entry]] = []
    for entry in entries:
        last = units[-1][-1].kind if units else None
        goes_on = entry.kind == "output" or (entry.kind == "model" and last == "model")
        if goes_on and last in ("model", "output"):
            units[-1].append(entry)
        else:
            units.append([entry])
    return [tuple(unit) for unit in units]


def tokens_of(entries: Sequence[Entry]) -> int:
    """About how many tokens entries have."""
    return sum(item_tokens(entry.item) for entry in entries)


@frozen
class Smaller:
    """A unit made smaller, and the number of its entries that changed."""

    unit: Unit
    changed: int


def without_bulk(unit: Unit, keep: KeepText) -> Smaller:
    """The unit with only head and tail of long texts of outputs and cells."""
    return _each(unit, lambda entry: _cut(entry, keep))


def without_images(unit: Unit) -> Smaller:
    """The unit with a line of text in place of images."""
    return _each(unit, _imageless)


def replaced_by(unit: Unit, after: Callable[[str], str | None]) -> Smaller:
    """The unit with one line in place of each output of a superseded run.

    `after`: the handle of the run that superseded a run.
    """

    def short(entry: Entry) -> Entry:
        later = after(entry.run) if entry.run else None
        if later is None or not isinstance(entry.item, FunctionCallOutput):
            return entry
        return _with_texts(entry, [f"[{entry.run} is superseded by {later}]"])

    return _each(unit, short)


def _each(unit: Unit, change: Callable[[Entry], Entry]) -> Smaller:
    changed = tuple(map(change, unit))
    count = sum(new is not old for new, old in zip(changed, unit, strict=True))
    return Smaller(changed if count else unit, count)


def _cut(entry: Entry, keep: KeepText) -> Entry:
    if entry.kind not in ("output", "cells") or _text_tokens(entry.item) <= LONG_TEXT_TOKENS:
        return entry
    parts = list(_parts(entry.item))
    text = "\n".join(part["text"] for part in parts if "text" in part)
    handle = entry.run or keep(text, entry.turn)
    if text.startswith("<cells>\n"):
        inner = text.removeprefix("<cells>\n").removesuffix("\n</cells>")
        short = f"<cells>\n{cut_middle(inner, CUT_TEXT_TOKENS)}\n[{handle} has it whole]\n</cells>"
    else:
        short = f"{cut_middle(text, CUT_TEXT_TOKENS)}\n[{handle} has it whole]"
    return _with_texts(entry, [short], [part for part in parts if "text" not in part])


def _imageless(entry: Entry) -> Entry:
    parts = list(_parts(entry.item))
    images = sum("image_url" in part for part in parts)
    if entry.kind not in ("output", "cells") or not images:
        return entry
    texts = [part["text"] for part in parts if "text" in part]
    where = f" of {entry.run}" if entry.run else ""
    return _with_texts(entry, [*texts, f"[{images} figure(s){where} left out here]"])


def _with_texts(entry: Entry, texts: Sequence[str], others: Sequence[dict[str, Any]] = ()) -> Entry:
    parts = [*map(text_part, texts), *others]
    if isinstance(entry.item, FunctionCallOutput):
        if not others:
            parts = [text_part("\n".join(texts))]
        return replace(entry, item=call_output(entry.item.call_id, parts))
    role = entry.item.role if isinstance(entry.item, Message) else "user"
    return replace(entry, item=message(role, *parts))


def _text_tokens(item: Item) -> int:
    return sum(estimate(part.get("text", "")) for part in _parts(item))


def _parts(item: Item) -> Iterator[dict[str, Any]]:
    """The content parts of a message or an output, as they are sent."""
    data = loads(item.wire)
    content: object = data.get("output" if isinstance(item, FunctionCallOutput) else "content", "")
    if isinstance(content, str):
        yield text_part(content)
    elif isinstance(content, list):
        yield from cast("list[dict[str, Any]]", content)
