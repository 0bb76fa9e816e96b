"""The outputs that a step's block keeps, in order and bounded. Knows no step."""

from dataclasses import replace
from typing import Any, Literal, assert_never

from ...agent.frozen import frozen
from ...agent.protocol.cells import DisplayOutput, ErrorOutput, Output, StreamOutput
from ...agent.text.lines import overwritten
from ...agent.text.tracebacks import folded

MAX_STREAM_CHARS = 200_000
"""Characters that a stream may hold. When it has more, the last three quarters are kept."""

MAX_OUTPUTS = 500
"""Outputs that a step may hold. When there are more, the last four fifths are kept."""

MAX_SHOWN_CHARS = 5_000_000
"""Characters of all texts of a step. When there are more, the first outputs are dropped."""

MAX_MARKUP_CHARS, MAX_PICTURE_CHARS = 1_000_000, 20_000_000
"""Characters of HTML, and of a picture in base64 or SVG. A longer one is left out."""


@frozen
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
        case DisplayOutput():
            outputs = (*outputs, bounded_display(new))
        case ErrorOutput():
            outputs = (*outputs, bounded_error(new))
        case _:
            assert_never(new)
    surplus = len(outputs) - MAX_OUTPUTS * 4 // 5 if len(outputs) > MAX_OUTPUTS else 0
    room = MAX_SHOWN_CHARS - sum(map(_chars, outputs[surplus:]))
    while room < 0 and surplus < len(outputs) - 1:
        room += _chars(outputs[surplus])
        surplus += 1
    return outputs[surplus:], surplus


def with_update(outputs: tuple[Shown, ...], new: DisplayOutput) -> tuple[Shown, ...]:
    """The outputs with `new` in place of the display that has the same id."""
    new = bounded_display(new)
    return tuple(
        new if isinstance(it, DisplayOutput) and it.display_id == new.display_id else it
        for it in outputs
    )


def bounded_error(output: ErrorOutput) -> ErrorOutput:
    """The error in at most about `MAX_STREAM_CHARS`. Frames that repeat are folded."""
    lines = folded(output.traceback)
    if sum(map(len, lines)) > MAX_STREAM_CHARS:
        lines = tuple(_short("\n".join(lines)).split("\n"))
    return replace(output, evalue=_short(output.evalue), traceback=lines)


def bounded_display(output: DisplayOutput) -> DisplayOutput:
    """The display with long texts cut. A line says what is too long and cannot be cut."""
    shown, left = dict[str, Any](), list[str]()
    for kind, value in output.data.items():
        picture = MAX_PICTURE_CHARS if kind.startswith("image/") else 0
        most = MAX_MARKUP_CHARS if kind == "text/html" else picture
        if most and len(value) > most:
            left.append(f"[{kind} of {len(value):,} characters is not shown]")
        else:
            shown[kind] = value if most or not isinstance(value, str) else _short(value)
    if left:
        shown["text/plain"] = "\n".join([*left, shown.get("text/plain", "")]).rstrip()
    return replace(output, data=shown)


def _short(text: str) -> str:
    if len(text) <= MAX_STREAM_CHARS:
        return text
    half = MAX_STREAM_CHARS // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


def _chars(output: Shown) -> int:
    """Characters of its text. A picture is not counted."""
    match output:
        case StreamText():
            return len(output.text)
        case ErrorOutput():
            return len(output.evalue) + sum(map(len, output.traceback))
        case DisplayOutput():
            texts = (it for kind, it in output.data.items() if not kind.startswith("image/"))
            return sum(len(it) for it in texts if isinstance(it, str))
        case _:
            assert_never(output)


def _streamed(outputs: tuple[Shown, ...], new: StreamOutput) -> tuple[Shown, ...]:
    """A stream continues its last output, if no other output came in between."""
    stream = StreamText(new.name, "")
    if outputs and isinstance(last := outputs[-1], StreamText) and last.name == new.name:
        outputs, stream = outputs[:-1], last
    text = overwritten(stream.text, new.text)
    surplus = len(text) - MAX_STREAM_CHARS * 3 // 4 if len(text) > MAX_STREAM_CHARS else 0
    return (*outputs, StreamText(new.name, text[surplus:], stream.left_out + surplus))
