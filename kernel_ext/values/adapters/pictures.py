"""Reads figures of matplotlib and images of Pillow. Draws nothing and loads no pixel."""

from collections import Counter
from itertools import islice
from typing import Any, cast

from ..adapter import Adapter, Origin, Reading, ShowValue
from ..introspect import exactly, peek, type_words


def _drawing(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    axes, artists = (cast("list[object]", peek(value, key)) for key in ("_localaxes", "_children"))
    if exactly(axes, list):
        return Reading(f"{source.title} with {len(axes)} axes", (("axes ", each) for each in axes))
    if not exactly(artists, list):
        return None
    texts = {"title": ("title",), "x": ("xaxis", "label"), "y": ("yaxis", "label")}
    words = ", ".join(f"{n} {show(peek(value, *path, '_text'))}" for n, path in texts.items())
    counts = Counter(map(type_words, islice(artists, 1_000)))
    kinds = ", ".join(f"{n} {kind.rpartition('.')[2]}" for kind, n in counts.items())
    return Reading(f"{source.title} {words}; {kinds}")


def _image(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    size, mode = (show(peek(value, key)) for key in ("_size", "_mode"))
    return Reading(f"{source.title} size {size} mode {mode}")


MATPLOTLIB = Adapter(packages=("matplotlib",), reading=_drawing)
PILLOW = Adapter(packages=("PIL",), reading=_image)
