"""Reads labelled arrays of xarray. Shows values only if they are numpy's, in memory."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ..adapter import (
    MAX_LISTED,
    Adapter,
    Origin,
    Reading,
    ReadingEntry,
    ShowValue,
    first_texts,
    is_own,
    shape_text,
)
from ..introspect import (
    MAX_SCANNED,
    clip,
    dict_items,
    exactly,
    find_item,
    stored,
    tuple_elements,
    type_words,
)
from .evidence import MAX_ARRAYS, MAX_ELEMENTS, array, attributes, is_array


def _reading(value: object, source: Origin, show: ShowValue) -> Reading | None:
    """Dimensions, variables and dtypes. Values only if they are numpy's, in memory."""
    held = list(islice(stored(value), MAX_SCANNED))
    title = source.title
    if source.name == "DataArray":
        of = find_item(held, "_variable")
        name = find_item(held, "_name")
        called = "" if name is None else f" {show(name)}"
        return Reading(f"{title}{called} {_variable(of, show, True)}", _variables(held, show))
    if source.name == "Dataset":
        variables = dict_items(find_item(held, "_variables"))
        texts = (f"{show(name)} {_variable(each, show)}" for name, each in variables)
        return Reading(f"{title}: {first_texts(texts)}", _variables(held, show))
    known = source.name in ("Variable", "IndexVariable")
    return Reading(f"{title} {_variable(value, show, True)}") if known else None


def _variables(held: list[tuple[object, object]], show: ShowValue) -> Iterator[ReadingEntry]:
    for kind in ("_variables", "_coords"):
        for name, each in islice(dict_items(find_item(held, kind)), MAX_LISTED):
            yield f"{show(name)}: {_variable(each, show, True)}"


def _variable(variable: object, show: ShowValue, values: bool = False) -> str:
    held = list(islice(stored(variable), MAX_SCANNED))
    dims, data = find_item(held, "_dims"), find_item(held, "_data")
    names = ", ".join(map(clip, tuple_elements(dims))) if exactly(dims, tuple) else "?"
    if not values and is_own(data, "numpy"):
        near: Any = data
        return f"({names}) {shape_text(near.shape)} {near.dtype}"
    return f"({names}) {show(data)}" if values else f"({names}) {type_words(data)}, not read"


def _fingerprint(value: Any, base: type) -> object:
    held = list(islice(stored(value), MAX_ELEMENTS))
    variables = [find_item(held, "_variable")]
    for name in ("_variables", "_coords"):
        variables += [each for _, each in islice(dict_items(find_item(held, name)), MAX_ELEMENTS)]
    data = [find_item(stored(each), "_data") for each in variables]
    return attributes(held), *map(id, data), *map(array, filter(is_array, data[:MAX_ARRAYS]))


XARRAY = Adapter(packages=("xarray",), reading=_reading, fingerprint=_fingerprint)
