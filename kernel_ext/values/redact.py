"""Hides values whose names say that they are secret, from everybody. Runs no code of a value.

A name is secret if its last word is key, token, secret, password, passphrase or credentials. So are
api_keys and access_tokens. Its text, bytes or number is hidden, and of a builtin container all but
the size. Names are those of variables, attributes, entries of dicts and defaults of functions. In
any text shown, and in URLs, the password of `scheme://user:password@host` is hidden.
"""

import re
from typing import Any

from ...agent.frozen import frozen
from .introspect import exactly

_SECRET = re.compile(
    r"(?:^|[_\W\d])(?:(?:(?:api|access|secret|private|auth)[_-]?)?(?:key|token)"
    r"|(?:api|access|secret|private|auth)[_-]?(?:keys|tokens)"
    r"|secrets?|passwords?|passwd|pwd|passphrase|credentials?)\d*$",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PASSWORD = re.compile(r"(://[^/\s:@'\"]*:)[^/\s@'\"]+@")
_PASSWORD_BYTES = re.compile(_PASSWORD.pattern.encode())

MAX_NAME_END_CHARS = 60
"""Characters at the end of a name that are read."""
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


def is_secret(name: object) -> bool:
    """Whether a value of this name is hidden."""
    text = name.decode("latin-1") if type(name) is bytes else name
    return type(text) is str and bool(_SECRET.search(_CAMEL.sub("_", text[-MAX_NAME_END_CHARS:])))


def without_passwords(text: Any) -> Any:
    """A str, or bytes, with the passwords in its URLs hidden."""
    if type(text) is str:
        return _PASSWORD.sub(r"\1***@", text)
    return _PASSWORD_BYTES.sub(rb"\1***@", text) if b"://" in text else text
