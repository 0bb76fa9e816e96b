"""A turn in a notebook without widgets: shown by parts, each sent when it changes. Knows no loop.

A turn of any length costs what it adds. Its end replaces all parts by one output.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, takewhile

from ...agent.printable import printable
from ...agent.protocol.cells import Output
from ..render.html import bundle, header_html, metadata, seen_html
from ..render.labels import began_text, seen_text
from ..render.pieces import Piece, PieceForm, block_pieces
from ..state.blocks import Block, CompactionBlock, Note
from ..state.fold import TurnState
from .cell_output import CellOutput
from .repaint import Clock

ViewPart = tuple[PieceForm, ...]
"""The forms of its pieces."""

MAX_BESIDE_STATUS = 2_000
"""Characters of a piece that is sent again when the status changes below it."""


class StaticScreen:
    """Outputs that are replaced one by one: the head, and below it the parts of the turn.

    A part is a group of pieces that came together, or one that may still change. The status is at
    the end of the last part if that is short and may change, and else a part of its own.
    """

    def __init__(self, *, timing: bool = True, clock: Clock = time) -> None:
        self._timing = timing
        self._clock = clock
        self._began = clock.time()
        self._cell = CellOutput()
        self._drawn: tuple[tuple[Block, tuple[Piece, ...]], ...] = ()
        self._shown: list[ViewPart] = []
        self._ends: list[int] = []
        self._wait: tuple[Note | CompactionBlock, float] = Note("retry", ""), 0.0

    def paint(self, state: TurnState) -> int:
        """Send the parts that changed. Blocks that did not change are not rendered again."""
        began = self._began if self._timing else None
        head = PieceForm(header_html(state, began), began_text(state, began))
        parts = [(head,), *self._parts(state)]
        parts += [()] * (len(self._shown) - len(parts))  # of blocks that were taken back
        return sum(self._put(at, part) for at, part in enumerate(parts))

    def tick(self, state: TurnState) -> float | None:
        """Every second while something waits."""
        return 1.0 if self._timing and _waiting(state) else None

    def leave(self, state: TurnState, below: Sequence[Output] | None, asked: bool) -> None:
        """Publish the bundle in place of the parts, and of questions if any were `asked`. `below`:
        displays of steps in the same cell, which come below it. None: nobody knows what else the
        cell shows, so the parts stay."""
        facts = metadata(state, self._timing)
        if below is None:
            self.paint(state)
            self._cell.show(0, _data(self._shown[0]), facts)
            return
        self._cell.clear()
        self._cell.show(0, bundle(state, self._timing), facts)
        self._cell.add_all(below)

    def _parts(self, state: TurnState) -> list[ViewPart]:
        """The pieces by part. Pieces that are done and came together are one part, or join the
        last one if it is sent again anyway."""
        pieces = self._pieces(state)
        forms = tuple(piece.form for piece in pieces)
        ends = sorted({min(end, len(pieces)) for end in self._ends} - {0})  # some may be taken back
        start, old = [0, 0, *ends][-2:]
        ready = old + sum(1 for _ in takewhile(lambda piece: piece.done, pieces[old:]))
        again = ends and self._shown[len(ends)] != forms[start:old]
        if ready > old and again and all(piece.done for piece in pieces[start:old]):
            ends[-1] = ready
        elif ready > old:
            ends.append(ready)
        self._ends = [*ends, *range(ready + 1, len(pieces) + 1)]
        parts = [forms[start:end] for start, end in pairwise([0, *self._ends])]
        now = self._clock.time()
        seen = seen_html(state, self._timing, now), seen_text(state, self._timing, now)
        status = (PieceForm(*seen),)
        if pieces and not pieces[-1].done and len(forms[-1].html) < MAX_BESIDE_STATUS:
            return [*parts[:-1], parts[-1] + status]
        return [*parts, status]

    def _pieces(self, state: TurnState) -> list[Piece]:
        known = {id(block): pieces for block, pieces in self._drawn}
        self._drawn = tuple(
            (block, known.get(id(block)) or block_pieces(block, self._timing))
            for block in state.blocks
        )
        pieces = [piece for _, pieces in self._drawn for piece in pieces]
        if block := _waiting(state):
            pieces[-1:] = block_pieces(self._ticked(block), self._timing)
        return pieces

    def _put(self, at: int, part: ViewPart) -> int:
        """Show a part as output `at`, unless it is there. Returns how many characters were sent."""
        if self._shown[at : at + 1] == [part]:
            return 0
        self._shown[at : at + 1] = [part]
        data = _data(part)
        self._cell.show(at, data, {})
        return sum(map(len, data.values()))

    def _ticked(self, block: Note | CompactionBlock) -> Note | CompactionBlock:
        """The block with its remaining wait, or with the whole seconds that have passed."""
        now = self._clock.monotonic()
        if self._wait[0] is not block:
            self._wait = block, now
        passed = now - self._wait[1]
        if isinstance(block, CompactionBlock):
            return replace(block, seconds=round(passed) or None)
        return replace(block, wait=max(0.1, (block.wait or 0) - passed))


def _data(part: ViewPart) -> dict[str, str]:
    return {
        "text/html": "".join(form.html for form in part),
        "text/plain": printable("\n".join(form.text for form in part)),
    }


def _waiting(state: TurnState) -> Note | CompactionBlock | None:
    """The last block, if it is a retry that waits or a compaction that runs."""
    match state.blocks[-1:]:
        case (Note(wait=int() | float()) | CompactionBlock(status="running") as block,):
            return block
        case _:
            return None
