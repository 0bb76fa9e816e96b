"""The blocks a turn is shown as: frozen values. Knows neither events nor markup."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic_core import from_json

from ...agent.protocol.actions import Verdict
from .outputs import Shown

Status = Literal["writing", "ready", "asking", "running", "ok", "error", "denied", "interrupted"]
"""A call being written, complete, put to a person, running; then how it ended."""


@dataclass(frozen=True, slots=True)
class ReasoningBlock:
    """The reasoning summary, by paragraphs. `done`: its item has come."""

    parts: tuple[str, ...] = ()
    done: bool = False


@dataclass(frozen=True, slots=True)
class AnswerSource:
    """What an answer rests on. `url` is untrusted, and empty for a file that has none."""

    title: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class AnswerBlock:
    """What the model says. `done`: its item has come. `refused`: it will not do what was asked."""

    text: str = ""
    done: bool = False
    refused: bool = False
    sources: tuple[AnswerSource, ...] = ()


@dataclass(frozen=True, slots=True)
class StepBlock:
    """A tool call and what came of it.

    `arguments`: JSON text, unfinished while `status` is `writing`. `ran`: the tool was started.
    `asked`: why a person is asked. `told`: what the model was told. `left_out`: outputs not kept.
    `count`: In [count] of a cell run. `called`: tools that its code called, and how often.
    """

    call_id: str
    tool: str = ""
    arguments: str = ""
    status: Status = "ready"
    ran: bool = False
    asked: str = ""
    verdict: Verdict | None = None
    outputs: tuple[Shown, ...] = ()
    left_out: int = 0
    told: str = ""
    seconds: float | None = None
    count: int | None = None
    called: tuple[tuple[str, int], ...] = ()

    @property
    def named(self) -> Mapping[str, Any]:
        """The arguments by name, as far as they are written."""
        try:
            value = from_json(self.arguments, allow_partial="trailing-strings")
        except ValueError:
            return {}
        return cast("dict[str, Any]", value) if isinstance(value, dict) else {}

    @property
    def code(self) -> str | None:
        """The code it runs; None for a tool that runs none."""
        code = self.named.get("code")
        return code if isinstance(code, str) else None


@dataclass(frozen=True, slots=True)
class Note:
    """A notice, or a retry: which `attempt`, and the `wait` in seconds while it waits."""

    kind: Literal["notice", "retry"]
    text: str
    attempt: str = ""
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class CompactionBlock:
    """The model's window made shorter: from `tokens`, of `window` where that is known, to `after`.

    `overflow`: the server had found the request too long. `dropped`: what became of what went.
    `noted`: the model has notes of it. `seconds`: how long it took, or takes so far.
    """

    tokens: int
    window: int | None = None
    overflow: bool = False
    status: Literal["running", "ok", "interrupted"] = "running"
    after: int = 0
    dropped: str = ""
    noted: bool = True
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class HostedBlock:
    """What ran at the model's server. `kind`: its item's type; `at`: the server's word for how far
    it is. `code`: what ran, in Python; `told`: other text, both ways."""

    item_id: str
    kind: str
    title: str
    status: Literal["running", "ok", "error", "denied", "interrupted"] = "running"
    at: str = ""
    detail: str = ""
    code: str = ""
    told: str = ""
    outputs: tuple[Shown, ...] = ()
    sources: tuple[AnswerSource, ...] = ()


Block = ReasoningBlock | AnswerBlock | StepBlock | HostedBlock | Note | CompactionBlock
