"""The events of a running turn, for its host: a closed union, one JSON object each.

Match on the class, or on one of the three groups. `inkernel exec --json` prints one a line.
TurnStarted comes first, and TurnEnded always last. A sample is SampleStarted, deltas and ItemDone
as they come, and SampleEnded. A call is ApprovalNeeded (when a person is asked), VerdictGiven,
ToolStarted, and ToolEnded. Its code sends OutputShown, OutputUpdated, OutputCleared and ToolCalled
while it runs. Threads of it can send them even after ToolEnded. Retrying, Notice, and Compacting
followed by Compacted come in between.
"""

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, SerializeAsAny

from ..frozen import frozen
from .actions import Verdict
from .cells import DisplayOutput, Output
from .items import Item, parse_item
from .trials import Deed, Trial


@frozen(kw_only=True)
class Usage:
    """Tokens of one sample or of a whole turn, as the server counted them.

    `cached`: of the input, those that a cache had. `written`: those that were put into one, where
    a provider bills that. `reasoning`: of the output. `estimated`: of all of them, those of broken
    answers that no server counted.
    """

    input: int = 0
    cached: int = 0
    written: int = 0
    output: int = 0
    reasoning: int = 0
    estimated: int = 0

    @classmethod
    def read(cls, counts: Mapping[str, int]) -> "Usage":
        """The usage with those counts. Counts of other names are ignored."""
        return cls(**{it.name: counts[it.name] for it in fields(cls) if it.name in counts})

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input=self.input + other.input,
            cached=self.cached + other.cached,
            written=self.written + other.written,
            output=self.output + other.output,
            reasoning=self.reasoning + other.reasoning,
            estimated=self.estimated + other.estimated,
        )


def _as_item(value: Any) -> Any:
    """The item of an event that is read back from JSON."""
    return parse_item(cast("dict[str, Any]", value)) if isinstance(value, dict) else value


@frozen(kw_only=True)
class TurnStarted:
    """A turn begins. `scripted`: the model's words come from a script file."""

    event: Literal["turn_started"] = "turn_started"
    session: str
    turn: int
    model: str
    provider: str
    scripted: bool = False


@frozen(kw_only=True)
class SampleStarted:
    """A request of `size` bytes is on its way. `sample`: its number in this turn, from 1."""

    event: Literal["sample_started"] = "sample_started"
    sample: int
    size: int


@frozen(kw_only=True)
class ReasoningDelta:
    """More of the reasoning summary. `part` counts its paragraphs from 0."""

    event: Literal["reasoning_delta"] = "reasoning_delta"
    text: str
    part: int = 0


@frozen(kw_only=True)
class TextDelta:
    """More of the model's answer."""

    event: Literal["text_delta"] = "text_delta"
    text: str


@frozen(kw_only=True)
class CallDelta:
    """More of a call's arguments (JSON text), while the model still writes them."""

    event: Literal["call_delta"] = "call_delta"
    call_id: str
    name: str
    text: str


@frozen(kw_only=True)
class HostedProgress:
    """Progress of a tool that runs at the server. `kind`: the type of its item, not yet done.

    `status`: `in_progress`, `searching`, …, or empty when only `text` grows. `text`: more of the
    tool's code, input or arguments.
    """

    event: Literal["hosted_progress"] = "hosted_progress"
    item_id: str
    kind: str
    status: str = ""
    text: str = ""


@frozen(kw_only=True)
class ItemDone:
    """An item is complete, committed to history and record."""

    event: Literal["item_done"] = "item_done"
    item: Annotated[SerializeAsAny[Item], BeforeValidator(_as_item)]


@frozen(kw_only=True)
class SampleEnded:
    """The response is complete. `usage` is None when the server sends none."""

    event: Literal["sample_ended"] = "sample_ended"
    sample: int
    usage: Usage | None
    seconds: float


@frozen(kw_only=True)
class ApprovalNeeded:
    """A person is asked, and the turn waits. `name` and `arguments`: of the call. `literal`: what
    would happen, word for word. `deeds`: those that a yes allows beyond the walls. Code that runs
    already may ask, too.
    """

    event: Literal["approval_needed"] = "approval_needed"
    call_id: str
    reason: str
    name: str = ""
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    literal: str = ""
    deeds: tuple[Deed, ...] = ()


@frozen(kw_only=True)
class TrialRan:
    """The call's code ran in a copy of the kernel, and the verdict is not simply to run it."""

    event: Literal["trial_ran"] = "trial_ran"
    call_id: str
    trial: Trial


@frozen(kw_only=True)
class VerdictGiven:
    """The verdict on a call."""

    event: Literal["judged"] = "judged"
    call_id: str
    verdict: Verdict


@frozen(kw_only=True)
class ToolStarted:
    """A tool runs. `edited`: the person has changed its code."""

    event: Literal["tool_started"] = "tool_started"
    call_id: str
    name: str
    arguments: dict[str, Any]
    edited: bool = False


@frozen(kw_only=True)
class OutputShown:
    """Running code produced an output. The host's `run_code` sends this at once, not the loop."""

    event: Literal["output_shown"] = "output_shown"
    call_id: str
    output: Output


@frozen(kw_only=True)
class OutputUpdated:
    """The display with `output.display_id` now has this output. Sent like OutputShown."""

    event: Literal["output_updated"] = "output_updated"
    call_id: str
    output: DisplayOutput


@frozen(kw_only=True)
class OutputCleared:
    """All outputs of the call's code are cleared. Sent like OutputShown."""

    event: Literal["output_cleared"] = "output_cleared"
    call_id: str


@frozen(kw_only=True)
class ToolCalled:
    """Code of the step `call_id` has called a tool through `agent_tools`. Nobody was asked."""

    event: Literal["tool_called"] = "tool_called"
    call_id: str
    name: str
    status: Literal["ok", "error", "denied", "interrupted"]


@frozen(kw_only=True)
class ToolEnded:
    """A tool's output is recorded. `text`: the output for the model, with images as placeholders.

    `count`: In [count] of a cell run.
    """

    event: Literal["tool_ended"] = "tool_ended"
    call_id: str
    status: Literal["ok", "error", "denied", "interrupted"]
    text: str
    seconds: float
    count: int | None = None


@frozen(kw_only=True)
class Retrying:
    """The sample failed and is tried again in `wait` seconds."""

    event: Literal["retrying"] = "retrying"
    attempt: int
    attempts: int
    wait: float
    cause: str


@frozen(kw_only=True)
class AnswerWithdrawn:
    """The answer of the present sample was taken out of the conversation again."""

    event: Literal["answer_withdrawn"] = "answer_withdrawn"


@frozen(kw_only=True)
class Notice:
    """Something that you should know, and that stops nothing."""

    event: Literal["notice"] = "notice"
    text: str


@frozen(kw_only=True)
class Compacting:
    """The window becomes shorter, and the turn waits. About `tokens` of `window` are used.

    `overflow`: the server found the request too long.
    """

    event: Literal["compacting"] = "compacting"
    tokens: int
    window: int | None
    overflow: bool = False


@frozen(kw_only=True)
class Compacted:
    """The window is shorter, or unchanged (`after` is `before`) when nothing could be left out.

    `dropped`: the changes, in words. `notes`: those in the digest. `model`: the model wrote them
    for it. `none`: the model failed. `unasked`: nothing new is in the digest alone, so the model
    was not asked. `failed`: why the model gave none. `usage`: tokens of asking for them.
    """

    event: Literal["compacted"] = "compacted"
    before: int
    after: int
    dropped: str
    notes: Literal["model", "earlier", "none", "unasked"]
    failed: str = ""
    usage: Usage
    seconds: float


@frozen(kw_only=True)
class TurnEnded:
    """The turn is over.

    `cost`: US dollars, None when the price is not known. `seconds`: wall time. `steps`: how many
    calls changed something. `sent`: characters of tool outputs. `error` and `hint` are set unless
    `status` is `completed`.
    """

    event: Literal["turn_ended"] = "turn_ended"
    status: Literal["completed", "interrupted", "limited", "failed"]
    answer: str
    usage: Usage
    cost: float | None
    seconds: float
    samples: int
    steps: int = 0
    sent: int = 0
    error: str | None = None
    hint: str | None = None


TurnEvent = TurnStarted | Retrying | AnswerWithdrawn | Notice | Compacting | Compacted | TurnEnded
"""Events of a turn as a whole."""

SampleEvent = (
    SampleStarted | ReasoningDelta | TextDelta | CallDelta | HostedProgress | ItemDone | SampleEnded
)
"""Events of the server's stream."""

CallEvent = (
    ApprovalNeeded
    | TrialRan
    | VerdictGiven
    | ToolStarted
    | OutputShown
    | OutputUpdated
    | OutputCleared
    | ToolCalled
    | ToolEnded
)
"""Events of one call. Each has its `call_id`."""

Event = Annotated[TurnEvent | SampleEvent | CallEvent, Field(discriminator="event")]
