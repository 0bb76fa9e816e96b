"""Describes a live object in bounded, inert text, without running its code. Knows no tool.

It runs no `__repr__`, `__str__`, `__len__`, `__eq__`, `__hash__`, `__getattr__`, `__class__` or
property of a user's class. It computes nothing lazy and advances no iterator. It reads a subclass
of a builtin by the builtin's own methods. The work depends on what is shown, not on the size of the
data. The few passes over data, and their limits, are in `adapters`. The `watchdog` ends a
description that takes too long.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import partial
from itertools import islice
from types import BuiltinFunctionType, FunctionType, GeneratorType, MethodType, ModuleType, NoneType
from typing import Any
from zoneinfo import ZoneInfo

from .adapter import FIRST_VALUES, MAX_LINE_CHARS, Reading, ReadingEntry, ShowValue, first_texts
from .code import (
    read_builtin_function,
    read_class_,
    read_exception,
    read_function,
    read_generator,
    read_method,
    read_module,
)
from .introspect import (
    MAX_SCANNED,
    c_member,
    clip,
    dict_items,
    is_a,
    label,
    mro,
    named_fields,
    peek,
    stored,
    type_words,
)
from .libraries import known, known_exactly
from .plugins import read_plugged
from .redact import Redacted, redacted, without_passwords
from .watchdog import LOOK_SECONDS, check, in_time

MAX_DESCRIPTION_CHARS = 4_000
"""Characters of a description, at most."""
MAX_ENTRIES = 20
"""Entries of a container or instance that a description shows, at most."""
MAX_HEAD_CHARS = 150
"""Characters of a str or bytes in a line, at most."""
MAX_NUMBER_BITS, MAX_DIGITS = 10_000, 55
"""Bits of an int whose digits are computed, and digits that are shown whole, at most."""
MAX_DEPTH = 3
"""Levels of a description, at most."""
TOO_SLOW = f"too slow to describe (over {LOOK_SECONDS * 1000:.0f} ms)"
"""Follows the type of a value whose description the watchdog ended."""
REST = f"  … the rest is {TOO_SLOW}"


def brief(value: object) -> str:
    """One line of at most `MAX_LINE_CHARS` characters: type, size and first values. Never raises.

    Shows up to `FIRST_VALUES` values and, within each, up to `FIRST_VALUES` more.
    """
    return in_time(partial(_head, inner=1), value, _slow)


def short(value: object) -> str:
    """At most 60 characters for a value among others: a scalar's value, else type and size."""
    return in_time(partial(_head, inner=0), value, _slow)


def describe(value: object, depth: int = 1) -> str:
    """`brief`, and below it the content of `value`: at most `MAX_DESCRIPTION_CHARS` in all.

    `depth` levels of entries (0 to `MAX_DEPTH`), up to `MAX_ENTRIES` of each. Never raises.
    """
    lines: list[str] = []

    def look(value: object) -> None:
        lines.append(_head(value, 1))
        room = MAX_DESCRIPTION_CHARS - len(lines[0])
        cut = f"  … more, cut at {MAX_DESCRIPTION_CHARS:,} characters"
        for line in _lines(value, min(depth, MAX_DEPTH), "  "):
            room -= len(line) + 1
            if room < max(len(cut), len(REST)) + 1:
                return lines.append(cut)
            lines.append(line)

    def otherwise(value: object) -> None:
        lines.append(REST if lines else _slow(value))

    in_time(look, value, otherwise)
    return "\n".join(lines)


def _slow(value: object) -> str:
    return f"{type_words(value)}: {TOO_SLOW}"


def _lines(value: object, depth: int, indent: str) -> Iterator[str]:
    if depth < 1:
        return
    try:
        for entry in _reading(value, 1).entries:
            if isinstance(entry, str):
                yield clip(indent + entry, MAX_LINE_CHARS)
                continue
            text, held = entry
            yield clip(indent + text + _head(held, 1 if depth == 1 else 0), MAX_LINE_CHARS)
            yield from _lines(held, depth - 1, indent + "  ")
    except Exception as error:
        yield f"{indent}(summary failed: {type_words(error)})"


def _head(value: object, inner: int) -> str:
    """A line with values nested `inner` levels deep. Below 0, only scalars show their value."""
    check()
    kind = type(value)
    if inner < 0 and not (type(kind) is type and kind in _SCALARS):
        return label(kind)
    try:
        return clip(_reading(value, inner).head, MAX_LINE_CHARS if inner > 0 else 60)
    except Exception as error:
        return f"{label(kind)} (summary failed: {type_words(error)})"


def _reading(value: object, inner: int) -> Reading:
    kind = type(value)
    show = partial(_head, inner=inner - 1)
    if type(kind) is type and kind in _BUILTINS:
        return _BUILTINS[kind](value, show)
    if is_a(value, type):
        return read_class_(value, show)
    found = known(value)
    reading = found[0].reading(value, found[1], show) if found else None
    if reading is not None:
        return reading
    if is_a(value, BaseException):
        return read_exception(value, show)
    if is_a(value, Enum):
        name, held = (peek(value, key) for key in ("_name_", "_value_"))
        return Reading(f"{label(kind)}.{clip(name)} = {show(held)}")
    for base in mro(kind):
        # only a plain metaclass is sure not to define __hash__
        if type(base) is type and base in _BUILTINS:
            reading = _BUILTINS[base](value, show)
            found = known_exactly(value)
            own = found[1] if found else f"{label(kind)} ({base.__name__})"
            return Reading(f"{own} {reading.head}", reading.entries)
    told = read_plugged(value)
    held = _attributes(f"{label(kind)} instance", stored(value), show)
    return held if told is None else Reading(told, held.entries)


def _attributes(title: str, pairs: Iterable[tuple[object, object]], show: ShowValue) -> Reading:
    seen = list(islice(pairs, MAX_SCANNED))
    shown = [(name, held) for name, held in seen if clip(name)[:1] != "_"] or seen
    shown = [(name, redacted(name, held)) for name, held in shown]
    first = first_texts(f"{clip(name)}={show(held)}" for name, held in shown)
    entries = ((f".{clip(name)} = ", held) for name, held in shown[:MAX_ENTRIES])
    return Reading(f"{title}: {first}" if first else title, _and_more(entries, len(shown)))


def _and_more(entries: Iterable[ReadingEntry], size: int) -> Iterator[ReadingEntry]:
    yield from entries
    if size > MAX_ENTRIES:
        yield f"… {size - MAX_ENTRIES:,} more"


def _items(base: Any, marks: str, value: object, show: ShowValue) -> Reading:
    size: int = base.__len__(value)
    first: list[object] = list(islice(base.__iter__(value), MAX_ENTRIES))
    bare = size <= FIRST_VALUES and (base is list or (size > 1 and base in (tuple, set)))
    head = f"{marks[0]}{first_texts(map(show, first))}{marks[1]}"
    entries = ((f"[{i}] " if marks != "{}" else "· ", held) for i, held in enumerate(first))
    return Reading(
        head if bare else f"{base.__name__} of {size:,} {head}", _and_more(entries, size)
    )


def _tuple(value: tuple[object, ...], show: ShowValue) -> Reading:
    fields = named_fields(value)
    return _attributes("fields", fields, show) if fields else _items(tuple, "()", value, show)


def _dict(value: Any, show: ShowValue) -> Reading:
    size = len(dict_items(value))
    first = [(key, redacted(key, held)) for key, held in islice(dict_items(value), MAX_ENTRIES)]
    shown = first_texts(f"{show(key)}: {show(held)}" for key, held in first)
    head = f"{{{shown}}}" if size <= FIRST_VALUES else f"dict of {size:,} {{{shown}}}"
    return Reading(head, _and_more(((f"{show(key)}: ", held) for key, held in first), size))


def _text(base: Any, value: object, show: ShowValue) -> Reading:
    size: int = base.__len__(value)
    text = without_passwords(base.__getitem__(value, slice(MAX_DESCRIPTION_CHARS)))
    head = repr(text[:MAX_HEAD_CHARS])
    if size > MAX_HEAD_CHARS:
        head = f"{base.__name__} of {size:,}: {head}…"
    elif not (base is str and "\n" in text):
        return Reading(head)
    lines = text.split("\n") if base is str else [repr(text)]
    wide = MAX_LINE_CHARS - 20
    parts = (line[i : i + wide] for line in lines for i in range(0, len(line) or 1, wide))
    return Reading(head, (f"| {part}" for part in parts))


def _number(value: int, show: ShowValue) -> Reading:
    bits = int.bit_length(value)
    if bits > MAX_NUMBER_BITS:  # the digits of a huge int take quadratic time
        return Reading(f"int of {bits:,} bits")
    digits = int.__repr__(value)
    short = len(digits) <= MAX_DIGITS
    return Reading(digits if short else f"int {digits[:20]}…{digits[-20:]} ({bits:,} bits)")


def _decimal(value: Decimal, show: ShowValue) -> Reading:
    size = Decimal.__sizeof__(value)
    text = Decimal.__str__(value) if size <= MAX_LINE_CHARS else f"of {size:,} bytes"
    return Reading(f"Decimal {text}")


def _datetime(value: datetime, show: ShowValue) -> Reading:
    text = f"{date.isoformat(value)} {time.isoformat(datetime.time(value))}"
    return Reading(text + _zone(datetime, value, show))


def _time(value: time, show: ShowValue) -> Reading:
    # isoformat would ask the zone for its offset
    aware = _zone(time, value, show)
    return Reading(f"time{aware}" if aware else f"time {time.isoformat(value)}")


def _zone(base: type, value: object, show: ShowValue) -> str:
    zone = c_member(value, base, "tzinfo")
    if type(zone) is ZoneInfo:
        return f" {clip(c_member(zone, ZoneInfo, 'key'))}"
    return "" if zone is None else f" {show(zone)}"


def _plain(text: Callable[[Any], str]) -> Callable[[Any, ShowValue], Reading]:
    return lambda value, show: Reading(text(value))


_SCALARS = frozenset(
    (int, float, complex, bool, NoneType, str, bytes, date, datetime, Decimal, Redacted)
)

_BUILTINS: dict[type, Callable[[Any, ShowValue], Reading]] = {
    NoneType: _plain(repr),
    bool: _plain(repr),
    int: _number,
    float: _plain(float.__repr__),
    complex: _plain(complex.__repr__),
    Decimal: _decimal,
    str: partial(_text, str),
    bytes: partial(_text, bytes),
    bytearray: partial(_text, bytearray),
    list: partial(_items, list, "[]"),
    tuple: _tuple,
    set: partial(_items, set, "{}"),
    frozenset: partial(_items, frozenset, "{}"),
    deque: partial(_items, deque, "[]"),
    dict: _dict,
    datetime: _datetime,
    date: _plain(date.isoformat),
    time: _time,
    timedelta: _plain(lambda value: f"timedelta {timedelta.__str__(value)}"),
    timezone: _plain(lambda value: f"UTC{datetime(1, 1, 2, tzinfo=value).isoformat()[19:]}"),
    FunctionType: read_function,
    MethodType: read_method,
    BuiltinFunctionType: read_builtin_function,
    GeneratorType: read_generator,
    ModuleType: read_module,
    Redacted: _plain(lambda value: value.text),
}
