"""A figure of Plotly in words: title, axes, and each trace with its values. Draws nothing."""

from collections.abc import Iterator
from itertools import islice

from .values import JsonObject, list_of, object_of, objects_in, series_of, title_of, value_text

MAX_TRACES, MAX_TRACE_ARRAYS, MAX_NOTES = 20, 10, 10
"""Traces, arrays of one trace, and annotations that are shown, at most."""

_PLAIN = ("customdata", "hovertemplate", "hovertext", "hoverlabel", "meta", "ids")


def plotly_text(figure: JsonObject) -> str:
    """The title and the axes, then a line for each trace."""
    layout = object_of(figure.get("layout"))
    title = title_of(layout.get("title"))
    traces = list(map(object_of, list_of(figure.get("data"))))
    lines = [f"Plotly figure{f': {title}' if title else ''}", *_axes(layout), *_notes(layout)]
    for number, trace in enumerate(traces[:MAX_TRACES], 1):
        lines.append(f"trace {number}: {'; '.join(_trace_words(trace))}")
    if len(traces) > MAX_TRACES:
        lines.append(f"… {len(traces) - MAX_TRACES:,} more traces")
    if frames := list_of(figure.get("frames")):
        lines.append(f"{len(frames):,} frames of an animation")
    return "\n".join(lines)


def _axes(layout: JsonObject) -> Iterator[str]:
    """The axes with a title, those of scenes and colour bars too, and the titles of legends."""
    found = list[str]()
    for name, part in layout.items():
        for key, axis in ((name, part), *object_of(part).items()):
            titled = "axis" in key or key in ("colorbar", "legend")
            if titled and (title := title_of(object_of(axis).get("title"))):
                found.append(f"{value_text(key.replace('axis', ''))} {title}")
    if found:
        yield f"axes: {'; '.join(found)}"


def _notes(layout: JsonObject) -> Iterator[str]:
    notes = [title_of(it.get("text")) for it in objects_in(layout.get("annotations"))]
    if said := list(islice(filter(None, notes), MAX_NOTES)):
        yield f"annotations: {'; '.join(said)}"


def _trace_words(trace: JsonObject) -> Iterator[str]:
    kind = value_text(trace.get("type", "scatter"))
    mode = f" ({value_text(trace['mode'])})" if "mode" in trace else ""
    name = f" {value_text(trace['name'])!r}" if trace.get("name") else ""
    yield f"{kind}{mode}{name}"
    yield from islice(_arrays(trace), MAX_TRACE_ARRAYS)


def _arrays(trace: JsonObject) -> Iterator[str]:
    """The arrays of a trace, and those one level deeper, as of a table's cells."""
    for key, value in trace.items():
        if key in _PLAIN:
            continue
        if series := series_of(value):
            yield f"{key} {series}"
        for inner, held in object_of(value).items():
            if not series and (deeper := series_of(held)):
                yield f"{key}.{inner} {deeper}"
