"""Reads paths and `os.environ` of the standard library. Of the latter it shows only names."""

from itertools import islice
from typing import Any

from ..adapter import Adapter, Origin, Reading, ShowValue, first_texts
from ..introspect import MAX_SCANNED, clip, dict_items, peek


def _reading(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    if source.package == "os":
        return _environment(value) if source.name == "_Environ" else None
    return Reading(f"{source.name} {show(str(value))}") if source.exact else None


def _environment(value: object) -> Reading:
    held = (name for name, _ in islice(dict_items(peek(value, "_data")), MAX_SCANNED))
    names = [clip(n.decode("utf-8", "replace") if type(n) is bytes else n) for n in held]
    head = f"environment of {len(names):,} variables (values hidden): {first_texts(names)}"
    return Reading(head, iter([", ".join(names)]))


STDLIB = Adapter(packages=("pathlib", "os"), reading=_reading)
