"""A turn in pieces, for a view that sends each of them when it changes. Knows no view.

They are true when the turn never ends, since a kernel that dies leaves them as they are.
"""

from dataclasses import replace
from typing import NamedTuple, assert_never

from ..state import blocks
from ..state.outputs import Shown, StreamText
from .html import block_html, step_output_html
from .outputs import output_line
from .plain_text import block_text

MAX_GROWING_CHARS = 4_000
"""Characters of a text that still grows. Of a longer one the last ones are shown until it is
whole, since all of them would be sent again for each new line."""


class PieceForm(NamedTuple):
    """The HTML of a part of a turn, and its plain text, with a line for each output."""

    html: str
    text: str


class Piece(NamedTuple):
    """A part of a turn. `done`: nothing of it can change any more."""

    form: PieceForm
    done: bool


def block_pieces(block: blocks.Block, timing: bool) -> tuple[Piece, ...]:
    """A step is its call and then each of its outputs. Any other block is one piece."""
    done = _is_done(block)
    if not isinstance(block, blocks.StepBlock):
        return (Piece(_form(block, timing), done),)
    pieces = [Piece(_form(replace(block, outputs=()), timing), done)]
    for at, output in enumerate(_as_it_grows(block), 1):
        grows = not done and at == len(block.outputs) and isinstance(output, StreamText)
        pieces.append(Piece(PieceForm(step_output_html(output), output_line(output)), not grows))
    return tuple(pieces)


def _form(block: blocks.Block, timing: bool) -> PieceForm:
    return PieceForm(block_html(block, timing), block_text(block, timing))


def _as_it_grows(step: blocks.StepBlock) -> tuple[Shown, ...]:
    """The step's outputs, with the end of a long text that may still grow."""
    match step.outputs:
        case (*before, StreamText(text=text) as last) if step.status == "running":
            cut = max(0, len(text) - MAX_GROWING_CHARS)
            start = cut and (text.find("\n", cut, cut + MAX_GROWING_CHARS // 4) + 1 or cut)
            left_out = last.left_out + start
            return (*before, replace(last, text=text[start:], left_out=left_out))
        case outputs:
            return outputs


def _is_done(block: blocks.Block) -> bool:
    match block:
        case blocks.StepBlock():
            return block.status in ("ok", "error", "denied", "interrupted")
        case blocks.ReasoningBlock() | blocks.AnswerBlock():
            return block.done
        case blocks.HostedBlock() | blocks.CompactionBlock():
            return block.status != "running"
        case blocks.Note():
            return block.wait is None
        case _:
            assert_never(block)
