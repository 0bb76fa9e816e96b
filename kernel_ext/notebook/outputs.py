"""Outputs in the form of a notebook file: of a step, or of a kernel. Knows no document."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, assert_never

from ...agent.protocol.cells import CellRun, DisplayOutput, ErrorOutput, StreamOutput
from ...agent.text.lines import overwritten

_TAKEN_BACK = re.compile("[^\n\b]\b")


def as_nbformat(run: CellRun) -> list[dict[str, Any]]:
    """The outputs of a run, valid in format 4.5."""
    return list(_outputs(run))


def with_joined_streams(outputs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The outputs in order. The streams between two others become one of each name.

    A kernel sends each stream by itself and in pieces, so that pieces and their order are chance.
    """
    found: list[Mapping[str, Any]] = []
    for are_streams, group in groupby(outputs, lambda it: it["output_type"] == "stream"):
        if not are_streams:
            found += group
            continue
        texts: dict[str, str] = {}
        for each in group:
            texts[each["name"]] = texts.get(each["name"], "") + each["text"]
        for name in sorted(texts, reverse=True):  # stdout before stderr
            text = _as_shown(texts[name])
            found.append({"output_type": "stream", "name": name, "text": text})
    return found


def _as_shown(text: str) -> str:
    """The text without what a carriage return or a backspace takes back."""
    taken = 1
    while taken:
        text, taken = _TAKEN_BACK.subn("", text)
    return overwritten("", text)


def _outputs(run: CellRun) -> Iterator[dict[str, Any]]:
    for output in run.outputs:
        match output:
            case StreamOutput():
                yield {"output_type": "stream", "name": output.name, "text": output.text}
            case ErrorOutput():
                yield {
                    "output_type": "error",
                    "ename": output.ename,
                    "evalue": output.evalue,
                    "traceback": list(output.traceback),
                }
            case DisplayOutput():
                shown = {"data": output.data, "metadata": output.metadata}
                count = {"execution_count": run.count} if output.result else {}
                kind = "execute_result" if output.result else "display_data"
                yield {"output_type": kind, **shown, **count}
            case _:
                assert_never(output)
