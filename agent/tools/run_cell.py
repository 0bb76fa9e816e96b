"""The tool that runs code in the live namespace.

Knows no shell: the caller's `run_code` runs the code.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from pydantic import BaseModel, Field, model_validator

from ..conversation.output_store import OutputStore
from ..conversation.runs import first_line
from ..errors import TurnLimited
from ..protocol.actions import Effect, Touches
from ..protocol.cells import CellRun
from ..protocol.items import without_fence
from ..text.cell_output import run_parts
from .schema import FieldsOf
from .tool import Tool, ToolCall, ToolOutput

DESCRIPTION = (
    "Run Python in the person's live namespace, as a notebook cell. Returns stdout, stderr, the "
    "value of the last expression, figures as images, and the traceback when it fails. State stays."
)

CALLABLE = (
    "Code may await your other tools, many in one step, with the same arguments by name: "
    "`await agent_tools.inspect(names=[...])` returns the text, or raises. There are: "
)


class RunCell(BaseModel):
    """A step to run."""

    title: str = Field(description="what this step is for, in a few words")
    code: str = Field(description="the cell's source")
    timeout: float = Field(0, ge=0, description="most seconds it may run, if not the usual")

    @model_validator(mode="before")
    @classmethod
    def _mended(cls, given: Any) -> Any:
        """Takes code out of a Markdown fence. A step without a title has its first line."""
        if not isinstance(given, dict):
            return given
        values = cast("dict[str, Any]", given)
        code, title = values.get("code"), values.get("title")
        if not isinstance(code, str):
            return values
        code = without_fence(code)
        title = title if isinstance(title, str) and title.strip() else first_line(code)
        return {**values, "code": code, "title": title}


_EFFECTS: frozenset[Effect] = frozenset(("run_code",))

RunCode = Callable[[ToolCall, RunCell], Awaitable[CellRun]]
"""Runs code for a call in the live namespace."""


_RUNS_ON = "Its code runs on in this kernel. Restart the kernel if you cannot wait."


def end_of(run: CellRun) -> TurnLimited | None:
    """The end of the turn in which code did not stop, in words. None if it did."""
    if not run.stuck:
        return None
    if run.status == "interrupted":
        return TurnLimited("A step did not stop when you interrupted it.", _RUNS_ON)
    longer = "`%agent config step_timeout SECONDS` gives steps longer."
    return TurnLimited("A step did not stop at its time limit.", f"{_RUNS_ON} {longer}")


def run_cell_tool(
    run_code: RunCode,
    output_tokens: int,
    outputs: OutputStore,
    callable_tools: Sequence[str] = (),
    as_python: Callable[[str], str] = str,
) -> Tool[RunCell]:
    """The tool `run_cell` over a host's `run_code`. `outputs` records each run.

    `output_tokens`: most tokens that the model reads. `callable_tools`: names of tools that code
    may call. `as_python`: a cell as the shell runs it.
    """

    async def run(call: ToolCall, arguments: RunCell) -> ToolOutput:
        done = await run_code(call, arguments)
        handle = outputs.keep_run(call.id, done)
        ends = end_of(done)
        return replace(tell(done, output_tokens, handle), run=handle, count=done.count, ends=ends)

    def touches(arguments: RunCell) -> Touches:
        code = arguments.code
        return Touches(effects=_EFFECTS, code=as_python(code), literal=code)

    lent = f" {CALLABLE}{', '.join(callable_tools)}." if callable_tools else ""
    described = DESCRIPTION + lent
    return Tool("run_cell", described, FieldsOf(RunCell), run, touches, always_changes=True)


def tell(run: CellRun, output_tokens: int, handle: str) -> ToolOutput:
    """A cell run as the model reads it.

    `handle`: names the full text, from which left-out lines can be read.
    """
    return ToolOutput(run_parts(run, output_tokens, handle), run.status)
