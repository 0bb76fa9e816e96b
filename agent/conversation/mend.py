"""Makes a window fit to send: to another server, and after items were lost. Pure.

Servers refuse a call without its output, an output without its call, reasoning alone, and a call in
a namespace that nothing declares. Knows no record.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ..protocol.items import (
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Reasoning,
    ToolSearchCall,
    call_output,
    parse_item,
    text_part,
)
from ..protocol.verbatim_json import loads
from .history import Entry, LoadedKey, Numbered, is_of_search, loaded_by, loaded_name

LOST = "This output was lost from the session's record. The call may have had effects."


def carried(item: Item) -> Item | None:
    """The item as a model of any provider reads it. None if only its own provider can.

    Ids and annotations name what the provider keeps. Reasoning is sealed by it. A server's own
    words go to no other.
    """
    match item:
        case Message(role="assistant") if item.is_blank:
            return None
        case Message(role="assistant"):
            texts = [{"type": "output_text", "text": item.text}]
            return Message.of({"type": "message", "role": "assistant", "content": texts})
        case FunctionCall():
            name = loaded_name(item.namespace, item.name)
            fields = {"call_id": item.call_id, "name": name, "arguments": item.arguments}
            return FunctionCall.of({"type": "function_call", **fields})
        case Message() | FunctionCallOutput():
            return item
        case _:
            return None


def without_searches(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries as a model of the same provider reads them that cannot search for tools.

    Reasoning goes, too, if nothing else of the model followed it.
    """
    thoughts: list[Entry] = []
    for entry in entries:
        item = entry.item
        if isinstance(item, Reasoning):
            thoughts.append(entry)
        elif isinstance(item, FunctionCall) or not is_of_search(item):
            yield from thoughts
            yield _in_no_namespace(entry)
            thoughts.clear()
        elif not isinstance(item, ToolSearchCall):
            thoughts.clear()


def reachable(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries. A call of a function whose loading is gone is in no namespace any more."""
    loaded = set[LoadedKey]()
    for entry in entries:
        loaded.update(loaded_by(entry.item))
        call = entry.item
        known = isinstance(call, FunctionCall) and (call.namespace, call.name) in loaded
        yield entry if known else _in_no_namespace(entry)


def _in_no_namespace(entry: Entry) -> Entry:
    """The entry. A call in it has the name of its tool where there are no namespaces."""
    call = entry.item
    if not isinstance(call, FunctionCall) or not is_of_search(call):
        return entry
    fields = {name: value for name, value in loads(call.wire).items() if name != "namespace"}
    bare = {**fields, "name": loaded_name(call.namespace, call.name)}
    return replace(entry, item=FunctionCall.of(bare))


def sendable_window(
    numbered: Sequence[Numbered], damaged: bool, fresh: Iterator[int]
) -> list[Numbered]:
    """The window without reasoning that no item of the model follows.

    If its record is `damaged`, all that depends on lost items is mended, too. `fresh`: numbers for
    new entries. Calls at the end, which a crash left open, stay open.
    """
    if not damaged:
        return _followed(numbered, damaged)
    whole = _followed(_unlinked(_paired(numbered, fresh)), damaged)
    entries = reachable(entry for _, entry in whole)
    return [(n, entry) for (n, _), entry in zip(whole, entries, strict=True)]


def _paired(numbered: Sequence[Numbered], fresh: Iterator[int]) -> Iterator[Numbered]:
    """The entries, each call with an output. An output without its call is left out."""
    alone = _alone(numbered)
    for at, (n, entry) in enumerate(numbered):
        if at not in alone or isinstance(entry.item, FunctionCall):
            yield n, entry
        if at in alone and isinstance(entry.item, FunctionCall):
            output = call_output(entry.item.call_id, [text_part(LOST)])
            yield next(fresh), Entry(output, entry.turn, entry.cell, "output")


def _alone(numbered: Sequence[Numbered]) -> set[int]:
    """The places of outputs without a call, and of calls whose outputs were lost."""
    alone, calls = set[int](), dict[str, int]()
    for at, (_, entry) in enumerate(numbered):
        call_id = getattr(entry.item, "call_id", None)
        if not isinstance(call_id, str):
            continue
        earlier = calls.pop(call_id, None)
        if not entry.item.type.endswith("_output"):
            calls[call_id] = at
            alone |= set() if earlier is None else {earlier}
        elif earlier is None:
            alone.add(at)
    end = _last_part(numbered)
    return alone | {at for at in calls.values() if at < end}


def _last_part(numbered: Sequence[Numbered]) -> int:
    """The place from which on nothing is lost, in one turn. A crash leaves calls open only here."""
    at = len(numbered) - 1
    while at > 0 and _follows(*numbered[at - 1 : at + 1]):
        at -= 1
    return at


def _follows(one: Numbered, later: Numbered) -> bool:
    return later[0] == one[0] + 1 and later[1].turn == one[1].turn


def _unlinked(numbered: Iterator[Numbered]) -> Iterator[Numbered]:
    """The entries. An item whose reasoning may be lost loses its id, by which a server asks it."""
    before = -1
    for n, entry in numbered:
        item = entry.item
        if n != before + 1 and item.id and isinstance(item, FunctionCall | Message):
            bare = {name: value for name, value in loads(item.wire).items() if name != "id"}
            entry = Entry(parse_item(bare), entry.turn, entry.cell, entry.kind, entry.run)
        yield n, entry
        before = n


def _followed(numbered: Sequence[Numbered] | Iterator[Numbered], damaged: bool) -> list[Numbered]:
    kept: list[Numbered] = []
    pending: list[Numbered] = []
    for n, entry in numbered:
        if pending and damaged and n != pending[-1][0] + 1:
            pending.clear()  # it belonged to an item that was lost
        if isinstance(entry.item, Reasoning):
            pending.append((n, entry))
            continue
        if not _is_ours(entry.item):
            kept += pending
        pending.clear()
        kept.append((n, entry))
    return kept


def _is_ours(item: Item) -> bool:
    """True if the model did not make the item."""
    if isinstance(item, Message):
        return item.role != "assistant"
    return isinstance(item, FunctionCallOutput)
