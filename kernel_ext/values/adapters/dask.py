"""Reads stored facts about dask collections. Never computes one."""

from typing import Any

from ..adapter import Adapter, Origin, Reading, ShowValue, is_own, shape_text
from ..introspect import peek


def _reading(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    title = f"{source.title}, not computed"
    if source.exact and source.name == "Array":
        return Reading(
            f"{title}: {shape_text(value.shape)} {value.dtype} in {value.npartitions:,} chunks"
        )
    meta: Any = peek(value, "_expr", "_meta")  # an empty frame that dask keeps
    return Reading(f"{title}: like {show(meta)}" if is_own(meta, "pandas") else title)


DASK = Adapter(packages=("dask",), reading=_reading, lazy=("*",))
