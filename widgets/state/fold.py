"""Folds a turn's events into the state that views show. Knows no HTML, no terminal, no clock."""

import json
from collections.abc import Callable
from dataclasses import field, replace
from functools import reduce
from operator import is_
from typing import TypeGuard, TypeVar, assert_never, cast

from ...agent.frozen import frozen
from ...agent.protocol import events, items
from ...agent.protocol.cells import Output
from .blocks import (
    AnswerBlock,
    Block,
    CompactionBlock,
    HostedBlock,
    Note,
    ReasoningBlock,
    StepBlock,
)
from .hosted_items import call_title, hosted_of, refuses, sources_of
from .outputs import with_output, with_update

B = TypeVar("B", ReasoningBlock, AnswerBlock, StepBlock, HostedBlock, CompactionBlock)

_WITHDRAWN = "The answer that was begun is withdrawn. The conversation goes on without it."


@frozen
class TurnState:
    """All that views show of a turn. A block that did not change stays the same object.

    `settled`: how many blocks at the start get no more deltas and wait for nothing, so that an
    event of a sample need not look at them.
    """

    started: events.TurnStarted | None = None
    blocks: tuple[Block, ...] = ()
    settled: int = 0
    samples: int = 0
    usage: events.Usage = field(default_factory=events.Usage)
    ended: events.TurnEnded | None = None


def fold(state: TurnState | None, event: events.Event) -> TurnState:
    """The state after `event`. Takes any events in any order."""
    state = state or TurnState()
    if isinstance(event, events.TurnEvent):
        return _fold_turn(state, event)
    if isinstance(event, events.SampleEvent):
        return _fold_sample(_going_on(state), event)
    return _fold_call(state, event)


def _fold_turn(state: TurnState, event: events.TurnEvent) -> TurnState:
    match event:
        case events.TurnStarted():
            return TurnState(started=event)
        case events.Retrying():
            return _retrying(state, event)
        case events.AnswerWithdrawn():
            return _withdrawn(state)
        case events.Notice():
            return _append(state, Note("notice", event.text))
        case events.Compacting():
            room = CompactionBlock(event.tokens, event.window, event.overflow)
            return _append(_taken_back(state), room)
        case events.Compacted():
            return _made_room(state, event)
        case events.TurnEnded():
            blocks = tuple(_waited(_abandoned(_sealed(block))) for block in state.blocks)
            return replace(state, blocks=blocks, ended=event)
        case _:
            assert_never(event)


def _fold_sample(state: TurnState, event: events.SampleEvent) -> TurnState:
    match event:
        case events.SampleStarted():
            begun = _mapped(lambda block: _waited(_sealed(block)), state)
            samples = max(state.samples, event.sample)
            return replace(begun, samples=samples, settled=len(begun.blocks))
        case events.ReasoningDelta():
            at, block = _last(state, _is_thinking, ReasoningBlock())
            return _put(state, at, replace(block, parts=_grown(block.parts, event)))
        case events.TextDelta():
            at, block = _last(state, _is_speaking, AnswerBlock())
            return _put(state, at, replace(block, text=block.text + event.text))
        case events.CallDelta():
            at, step = _last(
                state, _writes(event.call_id), StepBlock(event.call_id, status="writing")
            )
            arguments = step.arguments + event.text
            return _put(state, at, replace(step, tool=event.name, arguments=arguments))
        case events.HostedProgress():
            new = HostedBlock(event.item_id, event.kind, call_title(event.kind))
            at, block = _last(state, _runs(event.item_id, event.kind), new)
            block = replace(block, at=event.status or block.at)
            if event.kind == "code_interpreter_call":
                return _put(state, at, replace(block, code=block.code + event.text))
            return _put(state, at, replace(block, told=block.told + event.text))
        case events.ItemDone():
            return _item_done(state, event.item)
        case events.SampleEnded():
            usage = state.usage + (event.usage or events.Usage())
            sealed = _mapped(lambda block: _waited(_sealed(block)), state)
            return replace(sealed, usage=usage, settled=len(sealed.blocks))
        case _:
            assert_never(event)


def _fold_call(state: TurnState, event: events.CallEvent) -> TurnState:
    at, step = _last(state, _is_call(event.call_id), StepBlock(event.call_id), 0)
    match event:
        case events.ApprovalNeeded() | events.TrialRan() | events.VerdictGiven():
            step = _judged(step, event)
        case events.ToolStarted():
            step = replace(_of_call(step, event), status="running", ran=True)
        case events.OutputShown():
            step = _with(step, event.output)
        case events.OutputUpdated():
            step = replace(step, outputs=with_update(step.outputs, event.output))
        case events.ToolCalled():
            counts = dict(step.called)
            counts[event.name] = counts.get(event.name, 0) + 1
            step = replace(step, called=tuple(counts.items()))
        case events.OutputCleared():
            step = replace(step, outputs=(), left_out=0)
        case events.ToolEnded():
            step = replace(
                step,
                status=event.status,
                told=event.text,
                seconds=event.seconds,
                count=event.count,
            )
        case _:
            assert_never(event)
    return _put(state, at, step)


def _judged(
    step: StepBlock, event: events.ApprovalNeeded | events.TrialRan | events.VerdictGiven
) -> StepBlock:
    match event:
        case events.TrialRan():
            return replace(step, status="ready", tried=event.trial)
        case events.ApprovalNeeded():
            tried = None if step.status == "asking" else step.tried  # of code before it was changed
            asking = replace(_of_call(step, event), status="asking", asked=event.reason)
            return replace(asking, literal=event.literal, deeds=event.deeds, tried=tried)
        case events.VerdictGiven(verdict=verdict):
            status = "denied" if verdict.decision == "deny" else "ready"
            status = "running" if step.ran else status
            step = replace(step, status=status, verdict=verdict)
            only_tried = step.tried if verdict.decision == "try" else None
            return reduce(_with, only_tried.outputs, step) if only_tried else step


def _with(step: StepBlock, output: Output) -> StepBlock:
    outputs, dropped = with_output(step.outputs, output)
    return replace(step, outputs=outputs, left_out=step.left_out + dropped)


def _of_call(step: StepBlock, event: events.ApprovalNeeded | events.ToolStarted) -> StepBlock:
    """The step with its tool and arguments. Arguments that the model wrote stay as they are, unless
    the person has changed them."""
    edited = isinstance(event, events.ToolStarted) and event.edited
    written = "" if edited else step.arguments
    arguments = written or json.dumps(event.arguments, default=str)
    return replace(step, tool=event.name or step.tool, arguments=arguments, edited=edited)


def _item_done(state: TurnState, item: items.Item) -> TurnState:
    match item:
        case items.Message(role="assistant"):
            at, block = _last(state, _is_speaking, AnswerBlock())
            text = item.text or block.text
            new = AnswerBlock(text, True, refuses(item), sources_of(item))
            return _put(state, at, new) if text else state
        case items.Reasoning():
            at, block = _last(state, _is_thinking, ReasoningBlock())
            parts = item.paragraphs or block.parts
            return _put(state, at, ReasoningBlock(parts, done=True)) if parts else state
        case items.FunctionCall() | items.ToolSearchCall():
            at, step = _last(state, _writes(item.call_id), StepBlock(item.call_id))
            step = replace(step, tool=item.name, arguments=item.arguments, status="ready")
            return _put(state, at, step)
        case items.HostedCall():
            new = hosted_of(item)
            at, _ = _last(state, _runs(new.item_id, new.kind), new)
            return _put(state, at, new)
        case items.OtherItem():
            said = f"The model sent an item of a kind unknown here, {item.type}. It is kept."
            return _append(state, Note("notice", said))
        case _:
            return state


def _withdrawn(state: TurnState) -> TurnState:
    """The state without the sample's answer, and a note in its place if a person saw any."""
    done, rest = state.blocks[: state.settled], _taken_back(state).blocks[state.settled :]
    kept = (it for it in rest if not isinstance(it, AnswerBlock | ReasoningBlock))
    after = replace(state, blocks=(*done, *kept))
    if len(after.blocks) == len(state.blocks):
        return after
    return _append(after, Note("withdrawal", _WITHDRAWN))


def _retrying(state: TurnState, event: events.Retrying) -> TurnState:
    blocks = _taken_back(state).blocks
    if blocks and isinstance(last := blocks[-1], Note) and last.kind != "notice":
        blocks = blocks[:-1]
    attempt = f"attempt {event.attempt} of {event.attempts}"
    return _append(replace(state, blocks=blocks), Note("retry", event.cause, attempt, event.wait))


def _made_room(state: TurnState, event: events.Compacted) -> TurnState:
    at, room = _last(state, _makes_room, CompactionBlock(event.before))
    room = replace(
        room,
        tokens=event.before,
        status="ok",
        after=event.after,
        dropped=event.dropped,
        noted=event.notes != "none",
        seconds=event.seconds,
    )
    return _put(replace(state, usage=state.usage + event.usage), at, room)


def _taken_back(state: TurnState) -> TurnState:
    """The state without the broken sample's open blocks: deltas whose item never arrived."""
    done, rest = state.blocks[: state.settled], state.blocks[state.settled :]
    return replace(state, blocks=(*done, *(_waited(it) for it in rest if not _is_open(it))))


def _going_on(state: TurnState) -> TurnState:
    """Ends any wait, since a sample goes on. An open last block means that it already ended."""
    if state.blocks and _is_open(state.blocks[-1]):
        return state
    return _mapped(_waited, state)


def _mapped(function: Callable[[Block], Block], state: TurnState) -> TurnState:
    """The state with `function` of each block that is not settled."""
    done, rest = state.blocks[: state.settled], state.blocks[state.settled :]
    mapped = tuple(map(function, rest))
    same = all(map(is_, mapped, rest))
    return state if same else replace(state, blocks=(*done, *mapped))


def _waited(block: Block) -> Block:
    """The block after its wait has ended."""
    if isinstance(block, Note) and block.wait is not None:
        return replace(block, wait=None)
    return replace(block, status="interrupted") if _makes_room(block) else block


def _makes_room(block: Block) -> TypeGuard[CompactionBlock]:
    return isinstance(block, CompactionBlock) and block.status == "running"


def _is_thinking(block: Block) -> bool:
    return isinstance(block, ReasoningBlock) and not block.done


def _is_speaking(block: Block) -> bool:
    return isinstance(block, AnswerBlock) and not block.done


def _is_call(call_id: str) -> Callable[[Block], bool]:
    return lambda block: isinstance(block, StepBlock) and block.call_id == call_id


def _writes(call_id: str) -> Callable[[Block], bool]:
    return lambda block: _is_call(call_id)(block) and _is_open(block)


def _runs(item_id: str, kind: str) -> Callable[[Block], bool]:
    return lambda block: (
        isinstance(block, HostedBlock)
        and (block.item_id, block.kind) == (item_id, kind)
        and _is_open(block)
    )


def _is_open(block: Block) -> bool:
    match block:
        case ReasoningBlock() | AnswerBlock():
            return not block.done
        case StepBlock():
            return block.status == "writing"
        case HostedBlock():
            return block.status == "running"
        case Note() | CompactionBlock():
            return False
        case _:
            assert_never(block)


def _sealed(block: Block) -> Block:
    """The block when no more deltas of its item can arrive."""
    if not _is_open(block):
        return block
    match block:
        case ReasoningBlock() | AnswerBlock():
            return replace(block, done=True)
        case StepBlock():
            return replace(block, status="ready")
        case HostedBlock():
            return replace(block, status="interrupted", at="")
        case Note() | CompactionBlock():
            return block
        case _:
            assert_never(block)


def _abandoned(block: Block) -> Block:
    """The block after the end of the turn."""
    if isinstance(block, StepBlock) and block.status in ("ready", "asking", "running"):
        return replace(block, status="interrupted")
    return block


def _last(
    state: TurnState, wanted: Callable[[Block], bool], new: B, start: int | None = None
) -> tuple[int, B]:
    """The last wanted block and its index. If there is none, `new` and the index after the last.

    `start`: of the blocks to look at. None: those that are not settled.
    """
    first = state.settled if start is None else start
    for at in range(len(state.blocks) - 1, first - 1, -1):
        if wanted(state.blocks[at]):
            return at, cast("B", state.blocks[at])
    return len(state.blocks), new


def _put(state: TurnState, at: int, block: Block) -> TurnState:
    return replace(state, blocks=(*state.blocks[:at], block, *state.blocks[at + 1 :]))


def _append(state: TurnState, block: Block) -> TurnState:
    return _put(state, len(state.blocks), block)


def _grown(parts: tuple[str, ...], event: events.ReasoningDelta) -> tuple[str, ...]:
    at = max(0, min(event.part, len(parts)))
    return (*parts[:at], "".join(parts[at : at + 1]) + event.text, *parts[at + 1 :])
