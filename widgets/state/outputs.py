"""The outputs that a step's block keeps, in order and bounded. Knows no step."""

from dataclasses import dataclass
from typing import Literal, assert_never

from ...agent.protocol.cells import DisplayOutput, ErrorOutput, Output, StreamOutput
from ...agent.text.lines import overwritten

MAX_STREAM_CHARS = 200_000
"""Characters that a stream may hold. When it has more, the last three quarters are kept."""

MAX_OUTPUTS = 500
"""Outputs that a step may hold. When there are more, the last four fifths are kept."""


@dataclass(frozen=True, slots=True)
class StreamText:
    """Text written to stdout or stderr. `left_out`: characters cut from its front."""

    name: Literal["stdout", "stderr"]
    text: str
    left_out: int = 0


Shown = StreamText | DisplayOutput | ErrorOutput


def with_output(outputs: tuple[Shown, ...], new: Output) -> tuple[tuple[Shown, ...], int]:
    """The outputs with `new` added, and how many were dropped for it."""
    match new:
        case StreamOutput():
            outputs = _streamed(outputs, new)
        case DisplayOutput() | ErrorOutput():
            outputs = (*outputs, new)
        case _:
            assert_never(new)
    surplus = len(outputs) - MAX_OUTPUTS * 4 // 5 if len(outputs) > MAX_OUTPUTS else 0
    return outputs[surplus:], surplus


def with_update(outputs: tuple[Shown, ...], new: DisplayOutput) -> tuple[Shown, ...]:
    """The outputs with `new` in place of the display that has the same id."""
    return tuple(
        new if isinstance(it, DisplayOutput) and it.display_id == new.display_id else it
        for it in outputs
    )


def _streamed(outputs: tuple[Shown, ...], new: StreamOutput) -> tuple[Shown, ...]:
    """A stream continues its last output, if no other output came in between."""
    stream = StreamText(new.name, "")
    if outputs and isinstance(last := outputs[-1], StreamText) and last.name == new.name:
        outputs, stream = outputs[:-1], last
    text = overwritten(stream.text, new.text)
    surplus = len(text) - MAX_STREAM_CHARS * 3 // 4 if len(text) > MAX_STREAM_CHARS else 0
    return (*outputs, StreamText(new.name, text[surplus:], stream.left_out + surplus))
