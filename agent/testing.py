"""Fakes of three seams, for tests of code that builds on a session. They do no I/O.

The scripted model (`scripted/`) replaces a whole server instead.
"""

from collections.abc import AsyncGenerator, Iterable, Iterator

from .errors import ModelError
from .protocol.actions import Action, Verdict
from .protocol.cells import CellRun, StreamOutput
from .responses.request import Request
from .responses.stream import SamplePart
from .seams import Approve, Sample
from .tools.run_cell import RunCell, RunCode
from .tools.tool import ToolCall


def play(responses: Iterable[Iterable[SamplePart | ModelError]]) -> Sample:
    """A `sample` that plays one response a request. It raises an error at its position in it."""
    rest: Iterator[Iterable[SamplePart | ModelError]] = iter(responses)

    async def sample(_request: Request) -> AsyncGenerator[SamplePart]:
        for part in next(rest):
            if isinstance(part, ModelError):
                raise part
            yield part

    return sample


def answer(verdict: Verdict) -> Approve:
    """An `approve` that always gives the same verdict."""

    async def approve(_action: Action, _verdict: Verdict) -> Verdict:
        return verdict

    return approve


def repeat_code() -> RunCode:
    """A `run_code` that runs nothing. Its output is the code itself."""

    async def run_code(_call: ToolCall, step: RunCell) -> CellRun:
        shown = StreamOutput(name="stdout", text=step.code)
        return CellRun(source=step.code, status="ok", outputs=(shown,))

    return run_code
