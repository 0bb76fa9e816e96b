"""Text that a server sent, read with tolerance, and the errors where that ends.

Knows no API.
"""

from typing import Any, cast

from ..errors import IncompleteError, ProtocolError, StreamBrokenError
from ..protocol.failures import Hide
from ..protocol.verbatim_json import loads

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
        f"{server} cut the answer off: {reason}.",
        "The earlier parts are kept. Ask for the rest, or for less.",
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
    """The value if it counts something, else 0."""
    return value if isinstance(value, int) and value > 0 else 0
