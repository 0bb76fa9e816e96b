"""Prints a turn in a terminal as its events come. Knows no notebook, and asks nothing."""

import re
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import assert_never

from ...agent.printable import hidden_parts, printable, visible
from ...agent.protocol import events
from ...agent.protocol.cells import DisplayOutput, ErrorOutput, Output, StreamOutput
from ...agent.text.lines import count_of, overwritten
from ..render import labels
from ..render.outputs import shown_text, split_traceback
from ..render.plain_text import sources_lines
from ..state import blocks
from ..state.fold import TurnState, fold
from ..state.outputs import bounded_display, bounded_error

_COLOUR = re.compile(r"(\x1b\[[0-9;:]{0,64}m)")
_TOLD_LINES = 10
_TAKE_BACK = (events.Retrying, events.AnswerWithdrawn, events.Compacting)
"""The events after which an answer that was begun is gone."""
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
            self._take_back(event, before.blocks)
            self._turn(event)
        elif isinstance(event, events.SampleEvent):
            self._sample(event, before.blocks)
        else:
            self._step(event, before.blocks)

    def take(self, event: events.Event) -> None:
        """Take in `event` without printing it, since the line with `doing` shows it."""
        before, self._state = self._state, fold(self._state, event)
        self._take_back(event, before.blocks)
        self._fresh_line()

    @property
    def doing(self) -> str:
        """The turn's present activity. It leaves room on its line for the seconds."""
        match self._state.blocks[-1:]:
            case (blocks.CompactionBlock(status="running") as room,):
                text = labels.room_text(room, self._timing)
                return labels.clip(text, self._width - len(" · 59 min 59 s"))
            case _:
                return labels.doing(self._state)

    @property
    def at_line_start(self) -> bool:
        """Whether the present line is empty."""
        return not self._mid_line

    def close(self, below: Sequence[Output] | None = None, *, asked: bool = False) -> None:
        """End the present line if it is not empty."""
        self._fresh_line()

    def _turn(self, event: events.TurnEvent) -> None:
        match event:
            case events.TurnStarted():
                self._line(labels.header_text(self._state), _DIM)
            case events.Retrying() | events.Notice():
                self._note(self._state.blocks[-1])
            case events.AnswerWithdrawn():
                pass  # printed where a person saw any
            case events.Compacting() | events.Compacted():
                self._room()
            case events.TurnEnded():
                if _broken_off(self._state):
                    self._room()
                self._gap()
                self._line(labels.footer_text(self._state, self._timing), _DIM)
            case _:
                assert_never(event)

    def _take_back(self, event: events.Event, before: Sequence[blocks.Block]) -> None:
        """Say that what was printed of an answer holds no longer. Another try says it anew."""
        if not isinstance(event, _TAKE_BACK):
            return
        left = set(map(id, self._state.blocks))
        said = (it for it in before if isinstance(it, blocks.AnswerBlock | blocks.ReasoningBlock))
        if any(id(block) not in left for block in said):
            self._gap()
            self._line("The answer above was taken back.", _DIM)

    def _sample(self, event: events.SampleEvent, before: tuple[blocks.Block, ...]) -> None:
        match event:
            case events.ReasoningDelta():
                self._stream(f"reasoning {event.part}", event.text, _DIM)
            case events.TextDelta():
                self._stream("text", event.text)
            case events.ItemDone():
                self._item(before)
            case _:
                pass  # printed when the item is complete

    def _item(self, before: tuple[blocks.Block, ...]) -> None:
        """Print the item, or the part of it that its deltas did not bring."""
        pairs = list(zip_longest(before, self._state.blocks))
        old, new = next((pair for pair in reversed(pairs) if pair[0] is not pair[1]), (None, None))
        match new:
            case blocks.AnswerBlock(text=text):
                said = old.text if isinstance(old, blocks.AnswerBlock) else ""
                self._stream("text", text.removeprefix(said))
                self._after(new)
            case blocks.ReasoningBlock(parts=parts) if old is None:
                self._stream("reasoning", "\n\n".join(parts), _DIM)
            case blocks.StepBlock():
                self._call(new)
            case blocks.HostedBlock():
                self._hosted(new)
            case blocks.Note():
                self._note(new)
            case _:
                return
        self._fresh_line()

    def _after(self, said: blocks.AnswerBlock) -> None:
        """Print the refusal and the sources, which only a complete answer has."""
        if said.refused:
            self._line(labels.REFUSED.rstrip(":"), _DIM)
        self._sources(said.sources)

    def _sources(self, sources: tuple[blocks.AnswerSource, ...]) -> None:
        for line in sources_lines(sources):
            self._line(line, _DIM)

    def _hosted(self, block: blocks.HostedBlock) -> None:
        words = (block.title, block.detail, labels.hosted_text(block))
        self._gap()
        line = f"{labels.GLYPHS[block.status]} " + " · ".join(filter(None, words))
        self._line(labels.clip(line, self._width))
        for text in filter(None, (block.code, block.told)):
            self._line(_shortened(text))
        for output in block.outputs:
            self._line(shown_text(output))
        self._sources(block.sources)

    def _call(self, step: blocks.StepBlock) -> None:
        words = (labels.title_text(step), "" if step.code else labels.arguments_text(step))
        self._gap()
        self._line(labels.clip("▸ " + " · ".join(filter(None, words)), self._width), _BOLD)
        if text := step.code or labels.objects_text(step):
            self._line(_indented(text.rstrip()))

    def _step(self, event: events.CallEvent, before: Sequence[blocks.Block]) -> None:
        match event:
            case events.ApprovalNeeded():
                if event.name and len(self._state.blocks) > len(before):  # a call from code
                    self._call(self._find_step(event.call_id))
                self._literal(event)
                if deeds := labels.deeds_text(self._find_step(event.call_id)):
                    self._line(_indented(deeds))
            case events.TrialRan():
                self._line(_indented(labels.trial_text(self._find_step(event.call_id))))
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

    def _literal(self, event: events.ApprovalNeeded) -> None:
        """Print what would happen, unless it is all above as it is."""
        step = self._find_step(event.call_id)
        if event.literal and (event.literal != step.code or hidden_parts(event.literal)):
            self._line(_indented(visible(event.literal)))

    def _ended(self, event: events.ToolEnded) -> None:
        step = self._find_step(event.call_id)
        if told := labels.told_text(step):
            self._line(_shortened(told))
        if said := labels.status_text(step, self._timing):
            self._line(labels.clip(f"  {labels.GLYPHS[step.status]} {said}", self._width), _DIM)

    def _find_step(self, call_id: str) -> blocks.StepBlock:
        steps = (it for it in reversed(self._state.blocks) if isinstance(it, blocks.StepBlock))
        return next(step for step in steps if step.call_id == call_id)

    def _output(self, output: Output) -> None:
        match output:
            case StreamOutput(text=text):
                if self._streaming != output.name or text.removeprefix("\r\n").startswith("\r"):
                    self._fresh_line()
                self._streaming = output.name
                self._put(self._own(overwritten("", text)))
            case ErrorOutput():
                folded, lines = split_traceback(bounded_error(output))
                if folded:
                    self._line(f"… {count_of(len(folded), 'line')} of traceback left out …", _DIM)
                self._fresh_line()
                self._put(self._own("\n".join(lines)) + "\n")
            case DisplayOutput():
                self._line(shown_text(bounded_display(output)))
            case _:
                assert_never(output)

    def _own(self, text: str) -> str:
        """Output of code, which may have colours."""
        if not self._colour or "\x1b" not in text:
            return printable(text)
        pieces = _COLOUR.split(text)
        pieces[::2] = map(printable, pieces[::2])
        return "".join(pieces) + _RESET

    def _note(self, note: blocks.Block) -> None:
        if isinstance(note, blocks.Note):
            self._line(labels.note_text(note, self._timing), _DIM)

    def _room(self) -> None:
        shown = reversed(self._state.blocks)
        rooms = (it for it in shown if isinstance(it, blocks.CompactionBlock))
        self._line(labels.room_text(next(rooms), self._timing), _DIM)

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
        case (blocks.CompactionBlock(status="interrupted"),):
            return True
        case _:
            return False


def _indented(text: str) -> str:
    return "  " + text.replace("\n", "\n  ")


def _shortened(text: str) -> str:
    lines = text.strip("\n").split("\n")
    more = [labels.left_out_text(len(lines) - _TOLD_LINES, "line")] * (len(lines) > _TOLD_LINES)
    return _indented("\n".join(lines[:_TOLD_LINES] + more))
