"""JSON as it came: strict reading, and the exact text of inner values. Knows no item.

Items must be sent back byte for byte, so values are cut out of the text. Serialising them again
would change `1e0`, an escape or a key that was sent twice.
"""

import json
import re
from typing import Any

from pydantic_core import from_json, to_json

_between = re.compile(r"[ \t\r\n]*[,:]?[ \t\r\n]*").match
_HALF_A_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|(u[dD][89a-fA-F]\w\w)|.)", re.DOTALL
)
"""An escape in a JSON text. The group is half of a surrogate pair without the other half."""


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


_value_at = json.JSONDecoder(parse_constant=_refuse).raw_decode


def loads(data: bytes) -> Any:
    """The value of a JSON text at most 200 deep. A lone surrogate is read as U+FFFD.

    It also reads NaN and Infinity, which are no JSON. `members` refuses them. Raises ValueError.
    """
    try:
        return from_json(data)
    except ValueError:
        if (mended := in_whole_pairs(data)) == data:
            raise
        return from_json(mended)


def in_whole_pairs(data: bytes) -> bytes:
    """The JSON text with U+FFFD for each lone surrogate. The rest stays byte for byte.

    Servers refuse a lone surrogate, and with it every request that has the item.
    """
    if not _HALF_A_PAIR.search(data):
        return data
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], data)


def whole_text(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which UTF-8 does not have."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def dumps(value: object) -> bytes:
    """Compact JSON in UTF-8. Everything that is sent or recorded is serialised here.

    A lone surrogate becomes U+FFFD.
    """
    try:
        return to_json(value)
    except ValueError:  # a lone surrogate has no UTF-8
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        return whole_text(text).encode()


def members(text: str) -> dict[str, str]:
    """The text of each value in an object that `loads` has read. The last of equal keys counts.

    Raises ValueError for NaN and Infinity.
    """
    found: dict[str, str] = {}
    at = _past(text, text.index("{") + 1)
    while text[at] != "}":
        key, at = _value_at(text, at)
        start = _past(text, at)
        _, at = _value_at(text, start)
        found[key] = text[start:at]
        at = _past(text, at)
    return found


def array_elements(text: str) -> list[str]:
    """The text of each value in an array that `loads` has read. Raises as `members` does."""
    found: list[str] = []
    at = _past(text, text.index("[") + 1)
    while text[at] != "]":
        start = at
        _, at = _value_at(text, start)
        found.append(text[start:at])
        at = _past(text, at)
    return found


def _past(text: str, at: int) -> int:
    """The index after white space and a comma or colon in it."""
    gap = _between(text, at)
    assert gap is not None
    return gap.end()
