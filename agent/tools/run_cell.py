"""The tool that runs code in the live namespace, and how a cell run is told to the model.

Knows no shell: the code goes through the `run_code` it is given.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from pydantic import BaseModel, Field

from ..cells import CellRun, DisplayOutput, Output
from ..errors import TurnLimited
from ..images import image_or_words
from ..items import text_part
from ..outputs import Outputs
from ..pieces import fit, run_pieces
from . import Tool, ToolOutput

MAX_IMAGES = 4
"""Figures of one run that are sent to the model: the last."""

_KINDS = ("image/png", "image/jpeg", "image/gif", "image/webp")

DESCRIPTION = (
    "Run Python in the person's live namespace, as a notebook cell. Returns stdout, stderr, the "
    "value of the last expression, figures as images, and the traceback when it fails. State stays."
)

CALLABLE = (
    "While it runs, code may await your other tools, many in one step; each gives its text, or "
    "raises:"
)


class RunCell(BaseModel):
    """What to run."""

    title: str = Field(description="what this step is for, in a few words")
    code: str = Field(description="the cell's source")
    timeout: float = Field(0, ge=0, description="most seconds it may run; 0: the usual limit")


RunCode = Callable[[str, RunCell], Awaitable[CellRun]]
"""Runs code (second argument) for the call (first argument) in the live namespace."""


STUCK = (
    "A step did not stop at its time limit.",
    "What still runs, runs on in this kernel; restart it if you cannot wait. `%agent config"
    " step_timeout SECONDS` gives steps longer.",
)


def run_cell_tool(
    run_code: RunCode, output_tokens: int, outputs: Outputs, callable_tools: str = ""
) -> Tool[RunCell]:
    """`run_cell` over a host's way of running code; each run is recorded, by `outputs`.

    `output_tokens`: most that the model reads. `callable_tools`: how code calls other tools.
    """

    async def run(call_id: str, arguments: RunCell) -> ToolOutput:
        done = await run_code(call_id, arguments)
        handle = outputs.keep_run(call_id, done)
        ends = TurnLimited(*STUCK) if done.stuck else None
        return replace(tell(done, output_tokens, handle), run=handle, count=done.count, ends=ends)

    description = DESCRIPTION + (f" {CALLABLE}\n{callable_tools}" if callable_tools else "")
    return Tool("run_cell", description, RunCell, run, reads_only=False)


def tell(run: CellRun, output_tokens: int, handle: str) -> ToolOutput:
    """A cell run in the model's terms: its pieces, then its figures.

    `handle`: what the lines of what is left out can be read by.
    """
    shown, left_out = figures(run.outputs, MAX_IMAGES)
    text = fit(run_pieces(run), output_tokens, handle)
    if left_out:
        text += f"\n[{left_out} earlier figures are not sent to you]"
    return ToolOutput((text_part(text), *shown), run.status)


def figures(outputs: Iterable[Output], most: int) -> tuple[list[dict[str, str]], int]:
    """The last `most` images among outputs, as content parts, in order; how many others there are.

    An image that cannot be sent is a part that says so.
    """
    found = images_of(outputs)
    return [image_or_words(*image) for image in found[-most:]], max(0, len(found) - most)


def images_of(outputs: Iterable[Output]) -> list[tuple[str, str]]:
    """Kind and base64 of each image among outputs, in order."""
    return [image for output in outputs for image in _images(output)]


def _images(output: Output) -> Iterator[tuple[str, str]]:
    """Kind and base64 of the image that an output is."""
    if isinstance(output, DisplayOutput):
        kinds = (kind for kind in _KINDS if isinstance(output.data.get(kind), str))
        yield from ((kind, output.data[kind]) for kind in islice(kinds, 1))
