"""The provider's own compaction: the body of its request, and reading its answer. Does no I/O.

`POST /responses/compact` of Open Responses 2026-04-24 answers with the new window: items to be sent
back as they are. Only that provider can read the content of a compaction item.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from ..conversation.history import Entry
from ..dialects.request import Request
from ..errors import ProtocolError
from ..frozen import frozen
from ..protocol.events import Usage
from ..protocol.items import HostedCall, Item, parse_item
from ..protocol.verbatim_json import array_elements, dumps, loads, members

_ASKED = ("model", "instructions", "prompt_cache_key")


@frozen
class Sealed:
    """The new window, and the tokens that the compaction used."""

    items: tuple[Item, ...]
    usage: Usage


def compact_body(request: Request) -> bytes:
    """The body that asks to compact the window of `request`."""
    fields: dict[str, Any] = loads(b"{" + request.fields + b"}")
    asked = dumps({name: fields[name] for name in _ASKED if name in fields})[1:-1]
    return replace(request, fields=asked).wire(b"")


def read_sealed(body: bytes, server: str) -> Sealed:
    """The compaction that a server answered with. Raises ProtocolError if there is none."""
    try:
        data: dict[str, Any] = loads(body)
        texts = array_elements(members(body.decode())["output"])
        items = tuple(parse_item(loads(text.encode()), text.encode()) for text in texts)
        counts = cast("dict[str, Any]", data.get("usage") or {})
        usage = Usage(input=counts.get("input_tokens", 0), output=counts.get("output_tokens", 0))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"{server} did not compact as the API does: {error}.") from None
    if not any(map(is_seal, items)):
        raise ProtocolError(f"{server} gave no compaction.")
    return Sealed(items, usage)


def is_seal(item: Item) -> bool:
    """True if the item replaces an earlier part of the conversation."""
    return isinstance(item, HostedCall) and item.type == "compaction"


def latest_seal(entries: Sequence[Entry], start: int) -> int | None:
    """The index of the last such item at or after `start`."""
    found = (at for at in reversed(range(start, len(entries))) if is_seal(entries[at].item))
    return next(found, None)
