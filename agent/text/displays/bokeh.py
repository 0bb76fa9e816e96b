"""A document of Bokeh in words: titles, axes, glyphs, columns. Draws nothing."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from .values import JsonObject, list_of, object_of, objects_in, series_of, title_of, value_text

MAX_LISTED_WORDS, MAX_SOURCE_COLUMNS = 12, 24
"""Titles, axes, glyphs and legends that are shown, and columns, at most."""


class _Model(NamedTuple):
    """An object of a document. Bokeh 3 names its kind as `name`, and Bokeh 2 as `type`."""

    kind: str
    held: JsonObject


def bokeh_text(documents: JsonObject) -> str:
    """The titles, axes and glyphs, then the columns of the data."""
    models = dict(_models(documents))
    lines = ["Bokeh figure", *_listed("title", _texts(models, "Title", "text"))]
    lines += _listed("axes", _texts(models, "Axis", "axis_label"))
    lines += _listed("glyphs", _glyphs(models))
    lines += _listed("legend", _texts(models, "LegendItem", "label"))
    columns = (column for model in models.values() for column in _columns(model))
    return "\n".join([*lines, *islice(columns, MAX_SOURCE_COLUMNS)])


def _models(documents: JsonObject) -> Iterator[tuple[str, _Model]]:
    for held in objects_in(documents, "data"):
        attributes = object_of(held.get("attributes"))
        kind = held.get("name") if held.get("type") == "object" else held.get("type")
        if attributes and isinstance(kind, str):
            yield str(held.get("id")), _Model(kind, attributes)


def _listed(name: str, texts: Iterable[str]) -> list[str]:
    few = list(islice(dict.fromkeys(filter(None, texts)), MAX_LISTED_WORDS))
    return [f"{name}: {'; '.join(few)}"] if few else []


def _texts(models: Mapping[str, _Model], kind: str, key: str) -> Iterator[str]:
    for model in models.values():
        if model.kind.endswith(kind):
            value = model.held.get(key)
            yield title_of(object_of(value).get("value", value))


def _glyphs(models: Mapping[str, _Model]) -> Iterator[str]:
    """Each glyph with the columns that it draws: `Scatter (x: time, y: price)`."""
    for model in models.values():
        drawn = models.get(str(object_of(model.held.get("glyph")).get("id")))
        if drawn and model.kind == "GlyphRenderer":
            fields = ((key, object_of(it).get("field")) for key, it in drawn.held.items())
            said = ", ".join(f"{key}: {value_text(field)}" for key, field in fields if field)
            yield f"{drawn.kind} ({said})" if said else drawn.kind


def _columns(model: _Model) -> Iterator[str]:
    """The columns of a source, whose data Bokeh 3 keeps as pairs."""
    data = object_of(model.held.get("data"))
    pairs = list_of(data.get("entries")) if data.get("type") == "map" else data.items()
    for name, value in pairs:
        if series := series_of(value):
            yield f"column {value_text(name)}: {series}"
