"""The words of another API's server, kept verbatim in the item that was made of them.

An item says in the Responses API's words what it means, and has the server's own words beside that,
under the name of their dialect. They go back to servers of that dialect as they came, and so
signatures, number forms and members that nobody here knows survive. No other server gets them.
"""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from ..protocol.items import NATIVE, Item, parse_item
from ..protocol.verbatim_json import dumps, loads, members


def with_native(fields: Mapping[str, Any], dialect: str, raw: bytes) -> Item:
    """The item with these fields, and the server's own JSON `raw` kept verbatim beside them."""
    said = b"%b:{%b:%b}" % (dumps(NATIVE), dumps(dialect), raw)
    wire = b"%b,%b}" % (dumps(fields)[:-1], said)
    if b"Infinity" in wire or b"NaN" in wire:  # perhaps as a number, which no server takes back
        wire = to_json(loads(wire), inf_nan_mode="null")
    return parse_item(loads(wire), wire)


def native_of(item: Mapping[str, Any], text: str, dialect: str) -> str | None:
    """The JSON that a server of `dialect` said, verbatim. None if another made the item.

    `text`: the JSON of the item.
    """
    kept = item.get(NATIVE)
    if not isinstance(kept, dict) or dialect not in kept:
        return None
    return members(members(text)[NATIVE])[dialect]
