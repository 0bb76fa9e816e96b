"""The blocks that show a turn, as frozen values. Knows neither events nor markup."""

from collections.abc import Mapping
from typing import Any, Literal, cast

from pydantic_core import from_json

from ...agent.frozen import frozen
from ...agent.protocol.actions import Verdict
from ...agent.protocol.trials import Deed, Trial
from .outputs import Shown

Status = Literal["writing", "ready", "asking", "running", "ok", "error", "denied", "interrupted"]
"""A call is being written, ready, waiting for the user's answer, or running. Then how it ended."""


@frozen
class ReasoningBlock:
    """The reasoning summary, by paragraphs. `done`: its item has arrived."""

    parts: tuple[str, ...] = ()
    done: bool = False


@frozen
class AnswerSource:
    """A source that an answer cites. `url` is untrusted, and empty for a file."""

    title: str
    url: str = ""


@frozen
class AnswerBlock:
    """The model's text. `done`: its item has arrived. `refused`: the model refuses the request."""

    text: str = ""
    done: bool = False
    refused: bool = False
    sources: tuple[AnswerSource, ...] = ()


@frozen
class StepBlock:
    """A tool call and its result.

    `arguments`: JSON text, unfinished while `status` is `writing`. `ran`: the tool was started.
    `asked`: why the user is asked. `literal`: what would happen, word for word. `deeds`: what a yes
    allows. `edited`: the user has changed its code. `tried`: its trial run, unless the real one
    simply followed. `told`: the text for the model.
    `left_out`: outputs not kept. `count`: In [count] of a cell run. `called`: tools that its code
    called, and how often.
    """

    call_id: str
    tool: str = ""
    arguments: str = ""
    status: Status = "ready"
    ran: bool = False
    asked: str = ""
    literal: str = ""
    deeds: tuple[Deed, ...] = ()
    edited: bool = False
    tried: Trial | None = None
    verdict: Verdict | None = None
    outputs: tuple[Shown, ...] = ()
    left_out: int = 0
    told: str = ""
    seconds: float | None = None
    count: int | None = None
    called: tuple[tuple[str, int], ...] = ()

    @property
    def named(self) -> Mapping[str, Any]:
        """The arguments by name, as far as they have been written."""
        try:
            value = from_json(self.arguments, allow_partial="trailing-strings")
        except ValueError:
            return {}
        return cast("dict[str, Any]", value) if isinstance(value, dict) else {}

    @property
    def code(self) -> str | None:
        """The code that it runs. None for a tool that runs none."""
        code = self.named.get("code")
        return code if isinstance(code, str) else None


@frozen
class Note:
    """A notice, or a retry: which `attempt`, and the `wait` in seconds while it waits.

    A withdrawal says that something shown is gone; the retry after it takes its place.
    """

    kind: Literal["notice", "retry", "withdrawal"]
    text: str
    attempt: str = ""
    wait: float | None = None


@frozen
class CompactionBlock:
    """A compaction of the model's window from `tokens` to `after` tokens. `window`: its size.

    `overflow`: the server had found the request too long. `dropped`: what was left out, in words.
    `noted`: the model wrote notes. `seconds`: how long it took, or takes so far.
    """

    tokens: int
    window: int | None = None
    overflow: bool = False
    status: Literal["running", "ok", "interrupted"] = "running"
    after: int = 0
    dropped: str = ""
    noted: bool = True
    seconds: float | None = None


@frozen
class HostedBlock:
    """A call that ran at the model's server. `kind`: its item's type. `at`: the server's word for
    its progress. `code`: Python that ran. `told`: other text, of the call or its result."""

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
