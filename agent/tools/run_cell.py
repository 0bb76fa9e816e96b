"""The tool that runs code in the live namespace, and how a cell run is told to the model.

Knows no shell: the code goes through the `run_code` it is given.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, Field

from ..cells import CellRun, DisplayOutput, ErrorOutput, Output, StreamOutput
from ..items import image_part, text_part
from ..tokens import cut_middle, without_ansi
from . import Tool, ToolOutput

RunCode = Callable[[str, str], Awaitable[CellRun]]
"""Runs code (second argument) for the call (first argument) in the live namespace."""

MAX_IMAGES = 4
MAX_IMAGE = 5 * 1024 * 1024
"""Figures of one run sent to the model, and the most characters of base64 of each."""

DESCRIPTION = (
    "Run Python in the person's live namespace, as a notebook cell. Returns stdout, stderr, the "
    "value of the last expression, figures as images, and the traceback when it fails. State stays."
)


class RunCell(BaseModel):
    """What to run."""

    title: str = Field(description="what this step is for, in a few words")
    code: str = Field(description="the cell's source")


def run_cell_tool(run_code: RunCode, output_tokens: int) -> Tool[RunCell]:
    """`run_cell` over a host's way of running code. `output_tokens`: most that the model reads."""

    async def run(call_id: str, arguments: RunCell) -> ToolOutput:
        return tell(await run_code(call_id, arguments.code), output_tokens)

    return Tool("run_cell", DESCRIPTION, RunCell, run, reads_only=False)


def tell(run: CellRun, output_tokens: int) -> ToolOutput:
    """A cell run in the model's terms: how it went, then each output in order, then its figures."""
    head = [run.status]
    if run.bound:
        head.append(f"bound: {', '.join(run.bound)}")
    if run.deleted:
        head.append(f"deleted: {', '.join(run.deleted)}")
    images = [image for output in run.outputs for image in _images(output)]
    shown = images[-MAX_IMAGES:]
    texts = [" · ".join(head), *(text for output in run.outputs for text in _texts(output))]
    if len(images) > len(shown):
        texts.append(f"[{len(images) - len(shown)} earlier figures are not sent to you]")
    parts = [text_part(cut_middle("\n".join(texts), output_tokens))]
    return ToolOutput((*parts, *shown), run.status)


def _texts(output: Output) -> Iterator[str]:
    match output:
        case StreamOutput():
            yield f"{output.name}:\n{without_ansi(output.text).rstrip()}"
        case ErrorOutput():
            traceback = without_ansi("\n".join(output.traceback))
            yield f"error:\n{traceback or f'{output.ename}: {output.evalue}'}"
        case DisplayOutput():
            yield f"{'result' if output.result else 'display'}:\n{_data_text(output.data)}"


def _data_text(data: Mapping[str, Any]) -> str:
    for kind in ("text/markdown", "text/latex", "text/plain"):
        if isinstance(data.get(kind), str):
            return data[kind]
    return f"[{', '.join(sorted(data))}]"


def _images(output: Output) -> Iterator[dict[str, str]]:
    if not isinstance(output, DisplayOutput):
        return
    for kind in ("image/png", "image/jpeg"):
        data = output.data.get(kind)
        if isinstance(data, str) and len(data) <= MAX_IMAGE:
            yield image_part(f"data:{kind};base64,{data.replace(chr(10), '')}")
            return
