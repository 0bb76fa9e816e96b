"""Cell runs and what they put out, in nbformat's own terms. Knows no shell and no notebook file."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StreamOutput(_Frozen):
    """Text written to stdout or stderr."""

    output_type: Literal["stream"] = "stream"
    name: Literal["stdout", "stderr"]
    text: str


class DisplayOutput(_Frozen):
    """A MIME bundle that was displayed, or the value of a cell's last expression (`result`).

    `display_id`: by which it can be updated.
    """

    output_type: Literal["display_data"] = "display_data"
    data: dict[str, Any]
    metadata: dict[str, Any] = {}
    result: bool = False
    display_id: str | None = None


class ErrorOutput(_Frozen):
    """An exception that ended the run. `traceback`: the shell's own lines, with ANSI colours."""

    output_type: Literal["error"] = "error"
    ename: str
    evalue: str
    traceback: tuple[str, ...]


Output = StreamOutput | DisplayOutput | ErrorOutput


class CellRun(_Frozen):
    """One execution of code in the live namespace, by the user or by the agent.

    `bound`, `deleted`: names the run bound or rebound, and removed, sorted. `seconds`: wall time.
    `count`: In [count]. `limit`: seconds after which it was stopped. `stuck`: it ran on all the
    same; what it did after that is not here.
    """

    source: str
    status: Literal["ok", "error", "interrupted"]
    outputs: tuple[Output, ...] = ()
    bound: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    seconds: float = 0.0
    count: int | None = None
    limit: float | None = None
    stuck: bool = False
