"""Takes the values of keys out of texts: as they are, encoded, and cut. Knows no key and no file.

A key is found plain, percent-encoded, escaped as in JSON, Python or HTML, in hexadecimal, and in
base64 inside of longer data (`user:key`). Line breaks inside of it do not hide it. Of a key that
was cut, 16 characters of its start or end are enough.
"""

import html
import json
import re
from base64 import b64encode
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache, cached_property
from typing import Any, TypeVar, cast
from urllib.parse import quote

from pydantic import BaseModel

from ..protocol.items import Item, parse_item
from ..protocol.verbatim_json import loads
from .secret_formats import formats_in, held_chars, masked_formats

MASKED = "[key]"
"""The word that replaces a key."""

LEAST_CHARS = 8
"""Characters of the shortest value that is masked. Shorter ones are in too many texts."""

_RUN = 16
"""Characters at the start or the end of a key that are enough to find it."""
HELD_CHARS = 4
"""Characters of the start of a key for which the next text is awaited."""
_BREAK = re.compile(r"[\r\n]|\\n")
_ESCAPE = re.compile("%[0-9A-F]{2}")

_BARE = frozenset((int, float, bool, type(None)))
"""Types of values without any text."""

V = TypeVar("V")


@dataclass(frozen=True, repr=False)
class Mask:
    """Masks these values. Texts without any of them stay the same objects.

    `formats`: also keys of known formats, but for those that are `allowed` by name.
    """

    secrets: frozenset[str] = frozenset()
    formats: bool = False
    allowed: frozenset[str] = frozenset()

    @property
    def masks_any(self) -> bool:
        """False if no text can have anything to mask."""
        return self.formats or bool(self.secrets)

    def __repr__(self) -> str:
        return f"Mask(of {len(self.secrets)})"

    @cached_property
    def _forms(self) -> tuple[str, ...]:
        """All texts in which the values appear."""
        long = (secret for secret in self.secrets if len(secret) >= LEAST_CHARS)
        found = dict.fromkeys(form for secret in sorted(long) for form in _forms_of(secret))
        return tuple(form for form in found if len(form) >= LEAST_CHARS)

    @cached_property
    def _ends(self) -> tuple[str, ...]:
        ends = (end for form in self._forms for end in (form[:_RUN], form[-_RUN:]))
        return tuple(dict.fromkeys(ends))

    @cached_property
    def _longest(self) -> int:
        return 2 * max(map(len, self._forms), default=0)

    def _may_be_in(self, text: str) -> bool:
        joined = _joined(text)
        return bool([end for end in self._ends if end in joined])

    def text(self, text: str) -> str:
        """The text without the values."""
        if len(text) < LEAST_CHARS:
            return text
        text = self._without_values(text)
        return masked_formats(text, MASKED, self.allowed) if self.formats else text

    def _without_values(self, text: str) -> str:
        if not self._may_be_in(text):
            return text
        joined = _joined(text)
        spans = sorted(span for form in self._forms for span in _spans(joined, form))
        place, parts, done = _places(text), list[str](), 0
        for start, end in spans:
            first, last = place(start), place(end - 1) + 1
            if first >= done and not (parts and first == done):
                parts += [text[done:first], MASKED]
            done = max(done, last)
        return "".join([*parts, text[done:]])

    def beginning(self, text: str) -> int:
        """How many characters at the end of the text may be the start of a value."""
        tail = text[-self._longest :] if self._forms else ""
        joined = _joined(tail)
        starts = (_start(joined, form) for form in self._forms)
        first = min((start for start in starts if start is not None), default=None)
        held = 0 if first is None else len(tail) - _places(tail)(first)
        return max(held, held_chars(text)) if self.formats else held

    def value(self, value: V) -> V:
        """The same, for all texts in a value: an item, an event, an output, or plain data.

        Pictures are not searched.
        """
        if not self.masks_any:
            return value
        texts = list[str]()
        _gather(value, texts)
        joined = "\0".join(texts)  # all texts at once, since nearly every value has no key
        found = self._may_be_in(joined) or (self.formats and formats_in(joined, self.allowed))
        return cast("V", self._masked(value)) if found else value

    def _masked(self, value: Any) -> Any:
        match value:
            case str():
                return value if value.startswith("data:image/") else self.text(value)
            case Item():
                data = loads(value.wire)
                masked = self._masked(data)
                return value if masked is data else parse_item(masked)
            case BaseModel():
                changed = self._changed(vars(value))
                return value.model_copy(update=changed) if changed else value
            case Mapping():
                return self._masked_mapping(cast("Mapping[Any, Any]", value))
            case list() | tuple():
                return self._masked_row(cast("list[Any] | tuple[Any, ...]", value))
            case _ if is_dataclass(value) and not isinstance(value, type):
                changed = self._changed({it.name: getattr(value, it.name) for it in fields(value)})
                return replace(value, **changed) if changed else value
            case _:
                return value

    def _changed(self, named: Mapping[str, Any]) -> dict[str, Any]:
        masked = {name: self._masked(it) for name, it in named.items()}
        return {name: it for name, it in masked.items() if it is not named[name]}

    def _masked_mapping(self, value: Mapping[Any, Any]) -> Mapping[Any, Any]:
        masked = {
            self._masked(key): it if _is_picture(key) else self._masked(it)
            for key, it in value.items()
        }
        same = all(
            one is other and masked[one] is it
            for (one, it), other in zip(value.items(), masked, strict=False)
        )
        return value if same and len(masked) == len(value) else masked

    def _masked_row(self, value: list[Any] | tuple[Any, ...]) -> list[Any] | tuple[Any, ...]:
        masked = [self._masked(it) for it in value]
        if all(one is other for one, other in zip(value, masked, strict=True)):
            return value
        return masked if isinstance(value, list) else getattr(value, "_make", tuple)(masked)


def _forms_of(secret: str) -> Iterator[str]:
    """The texts in which a value appears, the plain one first."""
    data = secret.encode(errors="surrogateescape")
    for plain in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], html.escape(secret)):
        yield from (plain, json.dumps(plain)[1:-1])
    every = "".join(f"%{byte:02X}" for byte in data)
    for quoted in (quote(data, safe=""), quote(data), every):
        yield from (quoted, _ESCAPE.sub(lambda it: it[0].lower(), quoted))
    yield from (data.hex(), data.hex().upper())
    for before in range(3):  # bytes before it in the group of three that four characters encode
        bits = 8 * (before + len(data))
        coded = b64encode(bytes(before) + data).decode()[-(-8 * before // 6) : bits // 6]
        yield from (coded, coded.replace("+", "-").replace("/", "_"))


def _joined(text: str) -> str:
    """The text without line breaks, also without those in a literal."""
    return text.replace("\\n", "").replace("\n", "").replace("\r", "")


def _places(text: str) -> Callable[[int], int]:
    """A function from a place in `_joined(text)` to the place in the text."""
    past = [(it.start(), it.end()) for it in _BREAK.finditer(text)]
    removed, gone = [0], 0
    kept = list[int]()
    for start, end in past:
        kept.append(start - gone)
        gone += end - start
        removed.append(gone)
    return lambda at: at + removed[bisect_right(kept, at)]


def _spans(joined: str, form: str) -> Iterator[tuple[int, int]]:
    """First and last place of each run of the form's start, and of its end."""
    size, whole = min(_RUN, len(form)), len(form)
    at = joined.find(form[:size])
    while at >= 0:
        end = at + _alike(joined[at : at + whole], form)
        yield at, end
        at = joined.find(form[:size], end)
    at = joined.find(form[-size:])
    while at >= 0:
        end = at + size
        yield end - _alike(joined[max(0, end - whole) : end][::-1], form[::-1]), end
        at = joined.find(form[-size:], end)


def _alike(text: str, form: str) -> int:
    """How many characters at their start are the same."""
    alike, most = 0, len(form)
    while alike < most:
        half = (alike + most + 1) // 2
        alike, most = (half, most) if text.startswith(form[:half]) else (alike, half - 1)
    return alike


def _start(joined: str, form: str) -> int | None:
    """The place near the end of the text from which all of it is the start of the form.

    A short form is awaited from its first character, as it is not found without that.
    """
    first = form[: max(1, min(HELD_CHARS, len(form) - _RUN + 1))]
    at = joined.find(first, max(0, len(joined) - len(form) + 1))
    while at >= 0 and not form.startswith(joined[at:]):
        at = joined.find(first, at + 1)
    return at if at >= 0 else None


def _gather(value: Any, texts: list[str]) -> None:
    """Add the texts in a value that are searched: those that `Mask.value` looks at."""
    kind = type(cast("object", value))
    if kind in _BARE:
        return
    if isinstance(value, str):
        if not value.startswith("data:image/"):
            texts.append(value)
    elif kind is dict or isinstance(value, Mapping):
        for key, it in cast("Mapping[Any, Any]", value).items():
            _gather(key, texts)
            if not _is_picture(key):
                _gather(it, texts)
    else:
        for it in _inner(value):
            _gather(it, texts)


def _inner(value: Any) -> Iterable[Any]:
    match value:
        case list() | tuple():
            return cast("list[Any] | tuple[Any, ...]", value)
        case Item():
            return (loads(value.wire),)
        case _ if names := _fields_of(type(cast("object", value))):
            return [getattr(value, name) for name in names]
        case BaseModel():
            return vars(value).values()
        case _:
            return ()


@cache
def _fields_of(kind: type) -> tuple[str, ...]:
    """The names of the fields of a dataclass. Of another class there are none."""
    return tuple(it.name for it in fields(kind)) if is_dataclass(kind) else ()


def _is_picture(key: object) -> bool:
    return isinstance(key, str) and key.startswith("image/") and key != "image/svg+xml"
