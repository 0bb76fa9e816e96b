"""Text that a server sent, read with tolerance, and the errors where that ends.

Knows no API.
"""

from collections.abc import Mapping
from typing import Any, cast

from ..errors import AnswerRefusedError, IncompleteError, ProtocolError, StreamBrokenError
from ..protocol.events import Usage
from ..protocol.failures import Hide
from ..protocol.verbatim_json import loads

_MOST_COUNTED = 10**12
"""Tokens. A larger count counts nothing, and no database holds the largest."""
_REASON = 300
"""Most characters of a server's reason in an error."""
_SHOWN = 80
"""Most characters of an unreadable event in an error."""


def json_of(data: bytes) -> tuple[object, bytes]:
    """The value of an event, and its text, in which a byte that is no UTF-8 is replaced.

    Raises ValueError.
    """
    try:
        return loads(data), data
    except ValueError:
        data = data.decode(errors="replace").encode()
        return loads(data), data


def typed_event(event: object) -> dict[str, Any] | None:
    """The event with a type that is text: an `error`, or empty, if it has none. None if it is no
    object.
    """
    if not isinstance(event, dict):
        return None
    fields = cast("dict[str, Any]", event)
    if not isinstance(fields.get("type"), str):
        fields["type"] = "error" if "error" in fields else ""
    return fields


def broken_event(server: str) -> StreamBrokenError:
    """The error for an event in the middle of a stream that cannot be read."""
    return StreamBrokenError(
        f"{server} sent a broken event: its JSON is cut off or mixed up.",
        "Run the cell again. The complete parts are kept.",
    )


def no_event(server: str, data: bytes, api: str, hide: Hide) -> ProtocolError:
    """The error for a stream that does not begin as one of the API."""
    return ProtocolError(
        f"{server} sent an event that is not a JSON object: "
        f"{hide(data.decode(errors='replace'))[:_SHOWN]!r}.",
        f"That is no stream of the {api} API. Check base_url and dialect.",
    )


def cut_off(server: str, reason: str) -> IncompleteError:
    """The error for an answer that its server ended early."""
    return IncompleteError(
        f"{server} cut the answer off: {reason[:_REASON]}.",
        "The earlier parts are kept. Ask for the rest, or for less.",
    )


def filtered(who: str, reason: str) -> AnswerRefusedError:
    """The error for an answer that its server filtered."""
    return AnswerRefusedError(
        f"{who} filtered the answer: {reason[:_REASON]}.",
        "Say it differently, or choose another model: `%agent model`.",
    )


def as_dict(value: object) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """The value if it is an array, else an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else []


def as_text(value: object) -> str:
    """The value if it is text, else an empty one."""
    return value if isinstance(value, str) else ""


def as_count(value: object) -> int:
    """The value if it counts something, else 0. Some servers count in floats."""
    if isinstance(value, int | float) and 0 < value < _MOST_COUNTED:
        return int(value)
    return 0


def usage_of(counts: Mapping[str, object]) -> Usage:
    """Tokens as a server counted them, by the names of `Usage`. Those in a cache are no more than
    all of the input.
    """
    read = {name: as_count(value) for name, value in counts.items()}
    most = read["input"]
    cached = min(read["cached"], most)
    written = min(read["written"], most - cached)
    return Usage(**{**read, "cached": cached, "written": written})
