"""A chart of Vega-Lite (Altair) or Vega in words: title, marks, encodings, data. Draws nothing."""

from collections.abc import Iterator
from itertools import islice

from .values import (
    JsonObject,
    list_of,
    object_of,
    objects_in,
    pruned,
    rows_text,
    title_of,
    value_text,
)

MAX_VIEWS, MAX_SETS, MAX_CHANNELS = 12, 6, 20
"""Views, data sets and channels of one chart that are shown, at most."""
_MAX_TRANSFORM_CHARS = 300


def vega_text(spec: JsonObject) -> str:
    """A line for each view, then the data."""
    lite = "/vega/" not in str(spec.get("$schema", ""))
    title = title_of(spec.get("title"))
    head = f"{'Vega-Lite' if lite else 'Vega'} chart{f': {title}' if title else ''}"
    views = _views(spec) if lite else _marks(spec)
    return "\n".join([head, *islice(views, MAX_VIEWS), *islice(_data(spec), MAX_SETS)])


def _views(spec: JsonObject) -> Iterator[str]:
    """Each view on a line, the outer before the inner ones."""
    for view in objects_in(spec, "data", "datasets", "encoding", "config"):
        if words := list(_view_words(view)):
            title = title_of(view.get("title")) if view is not spec else ""
            yield "; ".join(filter(None, [title, *words]))


def _view_words(view: JsonObject) -> Iterator[str]:
    match view.get("mark"):
        case {"type": str(mark)} | str(mark):
            yield f"mark {value_text(mark)}"
        case _:
            pass
    channels = dict(object_of(view.get("encoding")))
    if "facet" in view and "spec" in view:
        channels["facet"] = view["facet"]
    for key, channel in islice(channels.items(), MAX_CHANNELS):
        if said := _channel_text(channel):
            yield f"{value_text(key)}: {said}"
    if isinstance(view.get("transform"), list):
        yield f"transform: {pruned(view['transform'], 3)[:_MAX_TRANSFORM_CHARS]}"


def _channel_text(channel: object) -> str:
    """`mean(price) (quantitative, binned, "Price in €")`."""
    if several := list_of(channel)[:MAX_CHANNELS]:
        return ", ".join(filter(None, map(_channel_text, several)))
    held = object_of(channel)
    placed = [f"{key} {_channel_text(held[key])}" for key in ("row", "column") if key in held]
    shown = next((held[key] for key in ("field", "datum", "value") if key in held), "")
    of, title = held.get("aggregate") or held.get("timeUnit"), title_of(held.get("title"))
    what = f"{value_text(of)}({value_text(shown)})" if of else value_text(shown)
    kind = value_text(held.get("type", ""))
    binned = "" if held.get("bin") in (None, False) else "binned"
    said = ", ".join(filter(None, [kind, binned, title and f'"{title}"']))
    return ", ".join(placed) or f"{what} ({said})" * bool(said) or what


def _marks(spec: JsonObject) -> Iterator[str]:
    """The marks of a Vega chart, and its axes with a title."""
    marks = [each.get("type") for each in objects_in(spec.get("marks"), "encode")]
    kinds = dict.fromkeys(kind for kind in marks if isinstance(kind, str))
    yield f"marks: {', '.join(map(value_text, kinds))}"
    for axis in objects_in(spec.get("axes"), "encode"):
        if title := title_of(axis.get("title")):
            yield f"axis {value_text(axis.get('scale'))}: {title}"


def _data(spec: JsonObject) -> Iterator[str]:
    """The data sets: how many rows, and the first ones. Or where they are."""
    for name, rows in object_of(spec.get("datasets")).items():
        yield f"data {value_text(name)}: {rows_text(list_of(rows))}"
    for view in objects_in(spec, "datasets", "encoding", "config", "values"):
        given = view.get("data")
        for held in map(object_of, list_of(given) or [given]):
            if rows := list_of(held.get("values")):
                yield f"data: {rows_text(rows)}"
            elif where := held.get("url") or held.get("values"):
                yield f"data: {value_text(where)}"
