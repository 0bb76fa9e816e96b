"""The tool `notebook_read`: shows cells of the notebook as they are now, with their outputs.

Runs nothing and changes nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydantic import BaseModel, Field

from ...agent.conversation.runs import first_line
from ...agent.protocol.cells import DisplayOutput, ErrorOutput, Output, StreamOutput
from ...agent.protocol.items import text_part
from ...agent.text.cell_output import MAX_SENT_IMAGES, figures
from ...agent.text.lines import fenced
from ...agent.text.tokens import cut_middle, estimate
from ...agent.text.truncation import OutputPart, fit, output_part, whole
from ...agent.tools.schema import FieldsOf
from ...agent.tools.tool import Tool, ToolCall, ToolOutput, always, text_output
from ..notebook.current import NO_NOTEBOOK, CurrentNotebook, find_cells
from ..notebook.document import Document, DocumentError, LiveCell

DESCRIPTION = (
    "Read cells of the notebook you are in as they are now, also edited ones and ones not run. "
    "Without arguments: a line for each cell. `cells`: their source and outputs. `query`: the "
    "cells that contain it. For code that was run, in any version, use recall."
)
ID_CHARS = 8
"""Characters of a cell's id in answers to the model."""
MAX_LISTED_CELLS, MAX_FOUND_CELLS = 400, 20
"""Cells of a listing, and of a query's answer, at most."""

KeepWhole = Callable[[str], str]
"""Keeps a cut text in full, and returns its handle."""


class NotebookRead(BaseModel):
    """The cells to read."""

    cells: list[str] = Field(
        default=[], max_length=50, description="ids or their start, In [12], #3 or #3-#7 (from 1)"
    )
    query: str = Field(default="", max_length=500, description="text in source or id, any case")
    outputs: bool = Field(default=True, description="with the cells' outputs")


def notebook_read_tool(here: CurrentNotebook, limit: int, keep: KeepWhole) -> Tool[NotebookRead]:
    """The tool `notebook_read`. `limit`: tokens of an output. `keep`: keeps a text that is cut."""

    async def run(_call: ToolCall, arguments: NotebookRead) -> ToolOutput:
        document = await here.document()
        if document is None:
            return text_output(NO_NOTEBOOK, "error")
        try:
            return await _read(here, document, arguments, limit, keep)
        except DocumentError as error:
            return text_output(str(error), "error")

    return Tool(
        "notebook_read", DESCRIPTION, FieldsOf(NotebookRead), run, always("look", paths=here.paths)
    )


async def _read(
    here: CurrentNotebook, document: Document, asked: NotebookRead, limit: int, keep: KeepWhole
) -> ToolOutput:
    cells = await document.cells()
    head = f"{len(cells)} cells of {here.how(document)}.{_shared(cells)}"
    if not asked.cells and not asked.query:
        lines = list(_listing(cells, here.cell))
        return text_output("\n".join([head, *lines]))
    named = [cell for words in asked.cells for cell in find_cells(cells, words)]
    found = list({cell.id: cell for cell in [*named, *_with(cells, asked.query)]}.values())
    if not found:
        return text_output(f"{head}\nNone contains {asked.query!r}.")
    here.know(found)
    shown = [
        (cell, await document.outputs(cell.id) if asked.outputs and cell.kind == "code" else [])
        for cell in found
    ]
    return _told(head, cells, shown, limit, keep)


def _told(
    head: str,
    cells: Sequence[LiveCell],
    shown: Sequence[tuple[LiveCell, list[dict[str, Any]]]],
    limit: int,
    keep: KeepWhole,
) -> ToolOutput:
    at = {cell.id: number for number, cell in enumerate(cells, 1)}
    pieces = [OutputPart(head)]
    images: list[Output] = []
    for cell, outputs in shown:
        language = "python" if cell.kind == "code" else ""
        pieces.append(OutputPart(f"{_title(cell, at[cell.id])}\n{fenced(cell.source, language)}"))
        came = list(outputs_of(outputs))
        pieces += map(output_part, came)
        images += came
    text = whole(pieces)
    handle = keep(text) if estimate(text) > limit else ""
    pictures, _ = figures(images, MAX_SENT_IMAGES)
    return ToolOutput((text_part(fit(pieces, limit, handle)), *pictures))


def _listing(cells: Sequence[LiveCell], running: str | None) -> Iterator[str]:
    for number, cell in enumerate(cells[:MAX_LISTED_CELLS], 1):
        line = first_line(cell.source) or "(empty)"
        lines = cell.source.count("\n")
        more = f" (+{lines} lines)" if lines else ""
        here = " ← you are here" if cell.id == running else ""
        yield f"{_title(cell, number)}: {line}{more}{here}"
    if len(cells) > MAX_LISTED_CELLS:
        more = f"{len(cells) - MAX_LISTED_CELLS:,} more"
        yield f"… {more}: name them by position, such as #{MAX_LISTED_CELLS + 1}-#500."


def _shared(cells: Sequence[LiveCell]) -> str:
    """Which cells have an id that others have, in words."""
    numbers = [f"#{number}" for number, cell in enumerate(cells, 1) if cell.shared]
    named = ", ".join(numbers[:20]) + (" and others" if len(numbers) > 20 else "")
    return f" {named} do not have an id of their own: name these by number." if named else ""


def _title(cell: LiveCell, number: int) -> str:
    count = f" In [{cell.execution_count}]" if cell.execution_count is not None else ""
    state = " running" if cell.running else ""
    return f"#{number} {cell.id[:ID_CHARS]} {cell.kind}{count}{state}"


def _with(cells: Sequence[LiveCell], query: str) -> list[LiveCell]:
    if not query:
        return []
    words = query.casefold()
    hits = [cell for cell in cells if words in cell.source.casefold() or cell.id.startswith(query)]
    return hits[:MAX_FOUND_CELLS]


def outputs_of(outputs: Sequence[dict[str, Any]]) -> Iterator[Output]:
    """nbformat's outputs in our own form. Of an unknown kind only the name is shown."""
    for output in outputs:
        match output:
            case {"output_type": "stream", "text": str(text)}:
                name = "stderr" if output.get("name") == "stderr" else "stdout"
                yield StreamOutput(name=name, text=text)
            case {"output_type": "error"}:
                yield ErrorOutput(
                    ename=str(output.get("ename", "")),
                    evalue=str(output.get("evalue", "")),
                    traceback=tuple(map(str, output.get("traceback", ()))),
                )
            case {"output_type": "display_data" | "execute_result" as kind, "data": dict()}:
                yield DisplayOutput(data=output["data"], result=kind == "execute_result")
            case _:
                kind = cut_middle(str(output.get("output_type")), 20)
                yield StreamOutput(name="stdout", text=f"[an output of the kind {kind}]")
