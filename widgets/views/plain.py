"""Prints a turn in a terminal as its events come. Knows no notebook, and asks nothing."""

import re
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import assert_never

from ...agent.protocol import events
from ...agent.protocol.cells import DisplayOutput, ErrorOutput, Output, StreamOutput
from ...agent.text.lines import overwritten
from ..render.labels import (
    GLYPHS,
    REFUSED,
    arguments_text,
    clip,
    doing,
    footer_text,
    header_text,
    hosted_text,
    left_out_text,
    note_text,
    objects_text,
    room_text,
    status_text,
    title_text,
    told_text,
)
from ..render.outputs import shown_text, split_traceback
from ..render.plain_text import sources_lines
from ..render.sanitize import printable
from ..state.blocks import (
    AnswerBlock,
    AnswerSource,
    Block,
    CompactionBlock,
    HostedBlock,
    Note,
    ReasoningBlock,
    StepBlock,
)
from ..state.fold import TurnState, fold

_COLOUR = re.compile(r"(\x1b\[[0-9;:]{0,64}m)")
_TOLD_LINES = 10
_DIM, _BOLD, _RESET = "\x1b[2m", "\x1b[1m", "\x1b[0m"


class PlainView:
    """Prints a turn through `write`. Its own lines are at most `width` wide.

    Text of the model and of tools is printed without control characters, except tab and line end.
    With `colour`, the code's own output keeps its colours.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        width: int = 80,
        colour: bool = False,
        *,
        timing: bool = True,
    ) -> None:
        self._write = write
        self._width = width
        self._colour = colour
        self._timing = timing
        self._state = TurnState()
        self._mid_line = False
        self._streaming = ""

    def show(self, event: events.Event) -> None:
        """Print what `event` adds."""
        before, self._state = self._state, fold(self._state, event)
        if isinstance(event, events.TurnEvent):
            self._turn(event)
        elif isinstance(event, events.SampleEvent):
            self._sample(event, before.blocks)
        else:
            self._step(event, before.blocks)

    def take(self, event: events.Event) -> None:
        """Take in `event` without printing it, since the line with `doing` shows it."""
        self._state = fold(self._state, event)
        self._fresh_line()

    @property
    def doing(self) -> str:
        """The turn's present activity. It leaves room on its line for the seconds."""
        match self._state.blocks[-1:]:
            case (CompactionBlock(status="running") as room,):
                return clip(room_text(room, self._timing), self._width - len(" · 59 min 59 s"))
            case _:
                return doing(self._state)

    @property
    def at_line_start(self) -> bool:
        """Whether the present line is empty."""
        return not self._mid_line

    def close(self) -> None:
        """End the present line if it is not empty."""
        self._fresh_line()

    def _turn(self, event: events.TurnEvent) -> None:
        match event:
            case events.TurnStarted():
                self._line(header_text(self._state), _DIM)
            case events.Retrying() | events.Notice():
                self._note(self._state.blocks[-1])
            case events.Compacting() | events.Compacted():
                self._room()
            case events.TurnEnded():
                if _broken_off(self._state):
                    self._room()
                self._gap()
                self._line(footer_text(self._state, self._timing), _DIM)
            case _:
                assert_never(event)

    def _sample(self, event: events.SampleEvent, before: tuple[Block, ...]) -> None:
        match event:
            case events.ReasoningDelta():
                self._stream(f"reasoning {event.part}", event.text, _DIM)
            case events.TextDelta():
                self._stream("text", event.text)
            case events.ItemDone():
                self._item(before)
            case _:
                pass  # printed when the item is complete

    def _item(self, before: tuple[Block, ...]) -> None:
        """Print the item, or the part of it that its deltas did not bring."""
        pairs = list(zip_longest(before, self._state.blocks))
        old, new = next((pair for pair in reversed(pairs) if pair[0] is not pair[1]), (None, None))
        match new:
            case AnswerBlock(text=text):
                said = old.text if isinstance(old, AnswerBlock) else ""
                self._stream("text", text.removeprefix(said))
                self._after(new)
            case ReasoningBlock(parts=parts) if old is None:
                self._stream("reasoning", "\n\n".join(parts), _DIM)
            case StepBlock():
                self._call(new)
            case HostedBlock():
                self._hosted(new)
            case Note():
                self._note(new)
            case _:
                return
        self._fresh_line()

    def _after(self, said: AnswerBlock) -> None:
        """Print the refusal and the sources, which only a complete answer has."""
        if said.refused:
            self._line(REFUSED.rstrip(":"), _DIM)
        self._sources(said.sources)

    def _sources(self, sources: tuple[AnswerSource, ...]) -> None:
        for line in sources_lines(sources):
            self._line(line, _DIM)

    def _hosted(self, block: HostedBlock) -> None:
        words = (block.title, block.detail, hosted_text(block))
        self._gap()
        self._line(clip(f"{GLYPHS[block.status]} " + " · ".join(filter(None, words)), self._width))
        for text in filter(None, (block.code, block.told)):
            self._line(_shortened(text))
        for output in block.outputs:
            self._line(shown_text(output))
        self._sources(block.sources)

    def _call(self, step: StepBlock) -> None:
        words = (title_text(step), "" if step.code else arguments_text(step))
        self._gap()
        self._line(clip("▸ " + " · ".join(filter(None, words)), self._width), _BOLD)
        if text := step.code or objects_text(step):
            self._line(_indented(text.rstrip()))

    def _step(self, event: events.CallEvent, before: Sequence[Block]) -> None:
        match event:
            case events.ApprovalNeeded():
                if event.name and len(self._state.blocks) > len(before):  # a call from code
                    self._call(self._find_step(event.call_id))
                self._line(f"{GLYPHS['asking']} {event.reason}")
            case events.OutputShown() | events.OutputUpdated():
                self._output(event.output)
            case events.ToolEnded():
                self._ended(event)
            case (
                events.VerdictGiven()
                | events.ToolStarted()
                | events.OutputCleared()
                | events.ToolCalled()
            ):
                pass
            case _:
                assert_never(event)

    def _ended(self, event: events.ToolEnded) -> None:
        step = self._find_step(event.call_id)
        if told := told_text(step):
            self._line(_shortened(told))
        if said := status_text(step, self._timing):
            self._line(clip(f"  {GLYPHS[step.status]} {said}", self._width), _DIM)

    def _find_step(self, call_id: str) -> StepBlock:
        steps = (block for block in reversed(self._state.blocks) if isinstance(block, StepBlock))
        return next(step for step in steps if step.call_id == call_id)

    def _output(self, output: Output) -> None:
        match output:
            case StreamOutput(text=text):
                if self._streaming != output.name or text.removeprefix("\r\n").startswith("\r"):
                    self._fresh_line()
                self._streaming = output.name
                self._put(self._own(overwritten("", text)))
            case ErrorOutput():
                folded, lines = split_traceback(output)
                if folded:
                    self._line(left_out_text(len(folded), "lines of traceback"), _DIM)
                self._fresh_line()
                self._put(self._own("\n".join(lines)) + "\n")
            case DisplayOutput():
                self._line(shown_text(output))
            case _:
                assert_never(output)

    def _own(self, text: str) -> str:
        """Output of code, which may have colours."""
        if not self._colour or "\x1b" not in text:
            return printable(text)
        pieces = _COLOUR.split(text)
        pieces[::2] = map(printable, pieces[::2])
        return "".join(pieces) + _RESET

    def _note(self, note: Block) -> None:
        if isinstance(note, Note):
            self._line(note_text(note, self._timing), _DIM)

    def _room(self) -> None:
        rooms = (
            block for block in reversed(self._state.blocks) if isinstance(block, CompactionBlock)
        )
        self._line(room_text(next(rooms), self._timing), _DIM)

    def _stream(self, kind: str, text: str, style: str = "") -> None:
        """Print more of a text that is still coming. Another kind of text begins on a new line."""
        if self._streaming != kind:
            self._gap()
        self._streaming = kind
        self._put(printable(text), style)

    def _line(self, text: str, style: str = "") -> None:
        self._fresh_line()
        self._put(printable(text), style)
        self._fresh_line()

    def _gap(self) -> None:
        self._fresh_line()
        self._put("\n")

    def _fresh_line(self) -> None:
        if self._mid_line:
            self._put("\n")
        self._streaming = ""

    def _put(self, text: str, style: str = "") -> None:
        if text:
            self._write(f"{style}{text}{_RESET}" if style and self._colour else text)
            self._mid_line = not text.removesuffix(_RESET).endswith("\n")


def _broken_off(state: TurnState) -> bool:
    """Whether the turn ended during a compaction."""
    match state.blocks[-1:]:
        case (CompactionBlock(status="interrupted"),):
            return True
        case _:
            return False


def _indented(text: str) -> str:
    return "  " + text.replace("\n", "\n  ")


def _shortened(text: str) -> str:
    lines = text.strip("\n").split("\n")
    more = [left_out_text(len(lines) - _TOLD_LINES, "lines")] * (len(lines) > _TOLD_LINES)
    return _indented("\n".join(lines[:_TOLD_LINES] + more))
