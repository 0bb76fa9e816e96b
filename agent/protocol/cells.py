"""Cell runs and their outputs, in nbformat's own terms. Knows no shell and no notebook file.

Loads without pydantic, which reads and writes these values inside events and records.
"""

from dataclasses import field
from typing import Any, Literal

from ..frozen import frozen

StreamName = Literal["stdout", "stderr"]

_READ = {"extra": "forbid"}
"""Pydantic refuses a value with unknown fields."""


@frozen(kw_only=True)
class StreamOutput:
    """Text written to stdout or stderr."""

    __pydantic_config__ = _READ

    output_type: Literal["stream"] = "stream"
    name: StreamName
    text: str


@frozen(kw_only=True)
class DisplayOutput:
    """A MIME bundle that was displayed, or the value of a cell's last expression (`result`).

    `display_id`: the id for updates of it.
    """

    __pydantic_config__ = _READ

    output_type: Literal["display_data"] = "display_data"
    data: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    result: bool = False
    display_id: str | None = None


@frozen(kw_only=True)
class ErrorOutput:
    """The exception that ended the run. `traceback`: the shell's own lines, with ANSI colours."""

    __pydantic_config__ = _READ

    output_type: Literal["error"] = "error"
    ename: str
    evalue: str
    traceback: tuple[str, ...]


Output = StreamOutput | DisplayOutput | ErrorOutput


@frozen(kw_only=True)
class CellRun:
    """One execution of code in the live namespace, by the user or by the agent.

    `bound`, `deleted`: the names that the run bound or rebound, and removed, sorted. `seconds`:
    wall time. `count`: In [count]. `limit`: seconds after which it was stopped. `stuck`: it ran on
    in spite of that, and later outputs are not here.
    """

    __pydantic_config__ = _READ

    source: str
    status: Literal["ok", "error", "interrupted"]
    outputs: tuple[Output, ...] = ()
    bound: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    seconds: float = 0.0
    count: int | None = None
    limit: float | None = None
    stuck: bool = False
