"""Hides values whose names say that they are secret, from everybody. Runs no code of a value.

The text, bytes or number of a secret name (`agent/text/secret_names.py`) is hidden, and all of a
builtin container but its size. Names are of variables, attributes, entries of dicts and defaults.
In any text shown, and in URLs, the password of `scheme://user:password@host` is hidden.
"""

import re
from typing import Any

from ...agent.frozen import frozen
from ...agent.text.secret_names import is_secret
from .introspect import exactly

_PASSWORD = re.compile(r"(://[^/\s:@'\"]*:)[^/\s@'\"]+@")
_PASSWORD_BYTES = re.compile(_PASSWORD.pattern.encode())

_MASKED = (str, bytes, bytearray, int, float, list, tuple, set, dict)


@frozen
class Redacted:
    """Replaces a value that is not shown. `text` is all that is shown of it."""

    text: str


def redacted(name: object, value: Any) -> object:
    """The value, or its replacement if its name is secret."""
    if not exactly(value, *_MASKED) or not is_secret(name):
        return value
    size = "" if exactly(value, int, float) else f" of {len(value):,}"
    return Redacted(f"<{type(value).__name__}{size}, hidden>")


def without_passwords(text: Any) -> Any:
    """A str, or bytes, with the passwords in its URLs hidden."""
    if type(text) is str:
        return _PASSWORD.sub(r"\1***@", text)
    return _PASSWORD_BYTES.sub(rb"\1***@", text) if b"://" in text else text
