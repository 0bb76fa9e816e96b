"""Fakes of `sample`, `approve` and `run_code`, for tests of code on a session. They do no I/O.

The scripted model (`scripted/`) replaces a whole server instead.
"""

from collections.abc import AsyncGenerator, Iterable, Iterator

from .dialects.dialect import Counted, SamplePart
from .dialects.request import Request
from .errors import ModelError
from .protocol.actions import Answer, Question, Verdict
from .protocol.cells import CellRun, StreamOutput
from .seams import Approve, Sample
from .tools.run_cell import RunCell, RunCode
from .tools.tool import ToolCall


def play(responses: Iterable[Iterable[SamplePart | Counted | ModelError]]) -> Sample:
    """A `sample` that plays one response a request. An error among the parts is raised there.

    Raises AssertionError when there are more requests than responses.
    """
    rest: Iterator[Iterable[SamplePart | Counted | ModelError]] = iter(responses)

    async def sample(_request: Request) -> AsyncGenerator[SamplePart | Counted]:
        response = next(rest, None)
        assert response is not None, "There are more requests than responses to play."
        for part in response:
            if isinstance(part, ModelError):
                raise part
            yield part

    return sample


def answer(verdict: Verdict) -> Approve:
    """An `approve` that always gives the same verdict."""

    async def approve(_question: Question) -> Answer:
        return Answer(verdict=verdict)

    return approve


def repeat_code() -> RunCode:
    """A `run_code` that runs nothing. Its output is the code itself."""

    async def run_code(_call: ToolCall, step: RunCell) -> CellRun:
        shown = StreamOutput(name="stdout", text=step.code)
        return CellRun(source=step.code, status="ok", outputs=(shown,))

    return run_code
