"""What is shown of a turn, folded from its events. Knows no HTML, no terminal, no clock."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar, assert_never, cast

from pydantic_core import from_json

from ..agent import items
from ..agent.events import (
    ApprovalNeeded,
    CallDelta,
    Event,
    ItemDone,
    Judged,
    Notice,
    OutputShown,
    ReasoningDelta,
    Retrying,
    SampleEnded,
    SampleStarted,
    TextDelta,
    ToolEnded,
    ToolStarted,
    TurnEnded,
    TurnStarted,
    Usage,
)
from ..agent.policy import Verdict
from .shown import Shown, with_output

Status = Literal["writing", "ready", "asking", "running", "ok", "error", "denied", "interrupted"]
"""A call being written, complete, put to a person, running; then how it ended."""


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The reasoning summary, by paragraphs. `done`: its item has come."""

    parts: tuple[str, ...] = ()
    done: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What the model says. `done`: its item has come."""

    text: str = ""
    done: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A tool call and what came of it.

    `arguments`: JSON text, unfinished while `status` is `writing`. `ran`: the tool was started.
    `asked`: why a person is asked. `told`: what the model was told. `left_out`: outputs not kept.
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


Block = Reasoning | Said | Step | Note
B = TypeVar("B", Reasoning, Said, Step)


@dataclass(frozen=True, slots=True)
class TurnState:
    """All that is shown of a turn. A block that did not change stays the same object."""

    started: TurnStarted | None = None
    blocks: tuple[Block, ...] = ()
    samples: int = 0
    usage: Usage = field(default_factory=Usage)
    ended: TurnEnded | None = None


def fold(state: TurnState | None, event: Event) -> TurnState:
    """The state after `event`. Takes any events in any order."""
    state = state or TurnState()
    match event:
        case TurnStarted() | Retrying() | Notice() | TurnEnded():
            return _fold_turn(state, event)
        case (
            SampleStarted()
            | ReasoningDelta()
            | TextDelta()
            | CallDelta()
            | ItemDone()
            | SampleEnded()
        ):
            return _fold_sample(_retried(state), event)
        case ApprovalNeeded() | Judged() | ToolStarted() | OutputShown() | ToolEnded():
            return _fold_call(state, event)
        case _:
            assert_never(event)


def _fold_turn(state: TurnState, event: TurnStarted | Retrying | Notice | TurnEnded) -> TurnState:
    match event:
        case TurnStarted():
            return TurnState(started=event)
        case Retrying():
            return _retrying(state, event)
        case Notice():
            return _append(state, Note("notice", event.text))
        case TurnEnded():
            blocks = tuple(_under_way(_abandoned(_sealed(block))) for block in state.blocks)
            return replace(state, blocks=blocks, ended=event)
        case _:
            assert_never(event)


def _fold_sample(
    state: TurnState,
    event: SampleStarted | ReasoningDelta | TextDelta | CallDelta | ItemDone | SampleEnded,
) -> TurnState:
    match event:
        case SampleStarted():
            return replace(state, samples=max(state.samples, event.sample))
        case ReasoningDelta():
            at, block = _last(state, _is_thinking, Reasoning())
            return _put(state, at, replace(block, parts=_grown(block.parts, event)))
        case TextDelta():
            at, block = _last(state, _is_speaking, Said())
            return _put(state, at, replace(block, text=block.text + event.text))
        case CallDelta():
            at, step = _last(state, _writes(event.call_id), Step(event.call_id, status="writing"))
            arguments = step.arguments + event.text
            return _put(state, at, replace(step, tool=event.name, arguments=arguments))
        case ItemDone():
            return _item_done(state, event.item)
        case SampleEnded():
            usage = state.usage + (event.usage or Usage())
            return replace(state, usage=usage, blocks=tuple(map(_sealed, state.blocks)))
        case _:
            assert_never(event)


def _fold_call(
    state: TurnState,
    event: ApprovalNeeded | Judged | ToolStarted | OutputShown | ToolEnded,
) -> TurnState:
    at, step = _last(state, _is_call(event.call_id), Step(event.call_id))
    match event:
        case ApprovalNeeded():
            step = replace(step, status="asking", asked=event.reason)
        case Judged():
            status = "denied" if event.verdict.decision == "deny" else "ready"
            step = replace(step, status=status, verdict=event.verdict)
        case ToolStarted():
            arguments = step.arguments or json.dumps(event.arguments, default=str)
            step = replace(step, tool=event.name, arguments=arguments, status="running", ran=True)
        case OutputShown():
            outputs, dropped = with_output(step.outputs, event.output)
            step = replace(step, outputs=outputs, left_out=step.left_out + dropped)
        case ToolEnded():
            step = replace(step, status=event.status, told=event.text, seconds=event.seconds)
        case _:
            assert_never(event)
    return _put(state, at, step)


def _item_done(state: TurnState, item: items.Item) -> TurnState:
    match item:
        case items.Message(role="assistant"):
            at, block = _last(state, _is_speaking, Said())
            text = item.text or block.text
            return _put(state, at, Said(text, done=True)) if text else state
        case items.Reasoning():
            at, block = _last(state, _is_thinking, Reasoning())
            parts = tuple(part.text for part in item.summary if part.text) or block.parts
            return _put(state, at, Reasoning(parts, done=True)) if parts else state
        case items.FunctionCall():
            at, step = _last(state, _writes(item.call_id), Step(item.call_id))
            step = replace(step, tool=item.name, arguments=item.arguments, status="ready")
            return _put(state, at, step)
        case _:
            return state


def _retrying(state: TurnState, event: Retrying) -> TurnState:
    """Without what the broken sample had half said: its deltas whose item never came."""
    blocks = tuple(_under_way(block) for block in state.blocks if not _is_open(block))
    if blocks and isinstance(last := blocks[-1], Note) and last.kind == "retry":
        blocks = blocks[:-1]
    attempt = f"attempt {event.attempt} of {event.attempts}"
    return _append(replace(state, blocks=blocks), Note("retry", event.cause, attempt, event.wait))


def _retried(state: TurnState) -> TurnState:
    """The retry, if one waited, is under way. An open block says that it long is."""
    if state.blocks and _is_open(state.blocks[-1]):
        return state
    return replace(state, blocks=tuple(map(_under_way, state.blocks)))


def _under_way(block: Block) -> Block:
    if isinstance(block, Note) and block.wait is not None:
        return replace(block, wait=None)
    return block


def _is_thinking(block: Block) -> bool:
    return isinstance(block, Reasoning) and not block.done


def _is_speaking(block: Block) -> bool:
    return isinstance(block, Said) and not block.done


def _is_call(call_id: str) -> Callable[[Block], bool]:
    return lambda block: isinstance(block, Step) and block.call_id == call_id


def _writes(call_id: str) -> Callable[[Block], bool]:
    return lambda block: _is_call(call_id)(block) and _is_open(block)


def _is_open(block: Block) -> bool:
    match block:
        case Reasoning() | Said():
            return not block.done
        case Step():
            return block.status == "writing"
        case Note():
            return False
        case _:
            assert_never(block)


def _sealed(block: Block) -> Block:
    """The block when nothing more of its item can come."""
    if not _is_open(block):
        return block
    match block:
        case Reasoning() | Said():
            return replace(block, done=True)
        case Step():
            return replace(block, status="ready")
        case Note():
            return block
        case _:
            assert_never(block)


def _abandoned(block: Block) -> Block:
    """The block when the turn is over."""
    if isinstance(block, Step) and block.status in ("ready", "asking", "running"):
        return replace(block, status="interrupted")
    return block


def _last(state: TurnState, wanted: Callable[[Block], bool], new: B) -> tuple[int, B]:
    """The last block that is wanted, with its place; or `new`, with the place after the last."""
    for at in range(len(state.blocks) - 1, -1, -1):
        if wanted(state.blocks[at]):
            return at, cast("B", state.blocks[at])
    return len(state.blocks), new


def _put(state: TurnState, at: int, block: Block) -> TurnState:
    return replace(state, blocks=(*state.blocks[:at], block, *state.blocks[at + 1 :]))


def _append(state: TurnState, block: Block) -> TurnState:
    return _put(state, len(state.blocks), block)


def _grown(parts: tuple[str, ...], event: ReasoningDelta) -> tuple[str, ...]:
    at = max(0, min(event.part, len(parts)))
    return (*parts[:at], "".join(parts[at : at + 1]) + event.text, *parts[at + 1 :])
