"""Names that say that their values are secret, and the values bound to them in code. Pure.

A name is secret if its last word is key, token, secret, password, passphrase or credentials. So are
api_keys and access_tokens.
"""

import re
from collections.abc import Iterator, Mapping

_SECRET = re.compile(
    r"(?:^|[_\W\d])(?:(?:(?:api|access|secret|private|auth)[_-]?)?(?:key|token)"
    r"|(?:api|access|secret|private|auth)[_-]?(?:keys|tokens)"
    r"|secrets?|passwords?|passwd|pwd|passphrase|credentials?)\d*$",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_BOUND = re.compile(r"([\w.-]{1,100})[\"']?\]?\s{0,4}(?:=|:)\s{0,4}[rb]?([\"'])([^\"'\s]{8,500})\2")
"""A text literal after a name: assigned, as an argument, as the entry of a dict."""

_FOLDERS = ("PWD", "OLDPWD")
"""Variables of every shell. They hold the working folder, not a password."""
_WIDE = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "COOKIE", "AUTH")

MAX_NAME_END_CHARS = 60
"""Characters at the end of a name that are read."""
_LEAST_CHARS, _LONG_WORD, _LEAST_DIFFERENT = 8, 20, 5
_PLACEHOLDER = re.compile(r"[<{$*\[]|your|example|placeholder|x{4}|\.{3}|changeme", re.IGNORECASE)


def is_secret(name: object) -> bool:
    """Whether a value of this name is hidden."""
    text = name.decode("latin-1") if type(name) is bytes else name
    if type(text) is not str or text in _FOLDERS:  # a foreign `__eq__` is not run
        return False
    return bool(_SECRET.search(_CAMEL.sub("_", text[-MAX_NAME_END_CHARS:])))


def may_hold_key(name: str) -> bool:
    """Whether a variable of the environment may hold a key. Wider than `is_secret`, since one too
    many spoils no text."""
    return any(word in name.upper() for word in _WIDE)


def may_be_secret(value: str) -> bool:
    """Whether a value can be a key at all: no word, no number, no placeholder.

    To mask a word of the language would spoil many texts.
    """
    plain = value.isalpha() and value.islower() and len(value) < _LONG_WORD
    short = len(value) < _LEAST_CHARS or len(set(value)) < _LEAST_DIFFERENT
    return not (short or plain or value.isdigit() or _PLACEHOLDER.search(value)) and (
        len(value.split()) == 1
    )


def secret_entries(named: Mapping[str, str]) -> dict[str, str]:
    """The entries whose names are secret, and whose values can be."""
    return {name: it for name, it in named.items() if is_secret(name) and may_be_secret(it)}


def secrets_in_code(source: str) -> Iterator[tuple[str, str]]:
    """Names and values of the literals that are bound to secret names in the source of a cell."""
    for found in _BOUND.finditer(source):
        if is_secret(found[1]) and may_be_secret(found[3]):
            yield found[1], found[3]
