"""Reads notebooks (.ipynb) by cell, without those hidden from the agent. Knows no kernel."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from ..places import DocumentPlace, PlacedText, UnreadableFile, clean

MAX_OUTPUT_CHARS = 4_000
"""Most characters of one output."""
_HIDE = re.compile(r"\s*#\s*agent:\s*hide\b")


def read_notebook_cells(path: Path) -> Iterator[PlacedText]:
    """The source and the outputs of each cell. Raises UnreadableFile, OSError."""
    try:
        notebook: Any = json.loads(path.read_text(encoding="utf-8"))
        cells = cast("list[Mapping[str, Any]]", notebook["cells"])
        for number, cell in enumerate(cells, 1):
            source = _text(cell.get("source"))
            if not _HIDE.match(source):
                outputs = (_output(it) for it in cell.get("outputs", ()))
                text = clean("\n".join(filter(None, [source, *outputs])))
                yield PlacedText(DocumentPlace("cell", number), text)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise UnreadableFile("it is no notebook, or broken") from None


def _output(output: Mapping[str, Any]) -> str:
    told = output.get("text") or output.get("data", {}).get("text/plain")
    return _text(told)[:MAX_OUTPUT_CHARS]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "".join(map(str, cast("list[Any]", value)))
    return value if isinstance(value, str) else ""
