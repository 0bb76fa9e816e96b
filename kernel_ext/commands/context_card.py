"""Adds up the figures of `%agent context`: the tokens in the window, by kind and by cell."""

from collections.abc import Mapping

from ...agent.conversation.history import Entry, item_tokens
from ...agent.conversation.runs import TurnHead
from ...agent.conversation.validity import Validity, validity
from ...agent.dialects.request import fixed_tokens, read_by_model
from ...agent.frozen import frozen
from ...agent.protocol.items import FunctionCallOutput
from ...agent.session import Session
from ...agent.text.lines import count_of
from ...agent.text.tokens import Counter
from ...widgets.panels.context_card import ENTRY_KINDS, CellRow, ContextCard

_SAID = 60


@frozen
class Counting:
    """Counts tokens, with the model's tokenizer if it is available."""

    counter: Counter
    model: str

    def of(self, entry: Entry) -> int:
        """Tokens of one entry."""
        return item_tokens(entry.item, self.counter, self.model)


def context_card(
    session: Session, fields: bytes, counting: Counting, coming: str = ""
) -> ContextCard:
    """The card of a conversation and of the fixed `fields` of its requests."""
    conversation = session.conversation
    kinds = dict.fromkeys(ENTRY_KINDS, 0) | {"head": counting.counter.count(read_by_model(fields))}
    cells: dict[str, list[Entry]] = {}
    for entry in conversation.history.entries:
        kinds[entry.kind] += counting.of(entry)
        if entry.kind in ("cells", "said", "model", "output"):
            cells.setdefault(_cell_of(entry), []).append(entry)
    last, holds = conversation.last, validity(conversation, session.outputs.runs)
    counts = {head.turn: head for head in conversation.heads}
    rows = (_row(entries, holds, counts, counting) for entries in cells.values())
    return ContextCard(
        kinds,
        tuple(rows),
        session.settings.window or session.target.window or conversation.window,
        conversation.size(fixed_tokens(fields)) if conversation.counted else None,
        last.cached / last.input if last and last.input else None,
        counting.counter.exact,
        coming,
    )


def _cell_of(entry: Entry) -> str:
    """A key that is equal for entries of one cell: a user's run, or a turn."""
    if entry.kind == "cells":
        return entry.run or f"cells of turn {entry.turn}"
    return f"turn {entry.turn}"


def _row(
    entries: list[Entry], holds: Validity, turns: Mapping[int, TurnHead], counting: Counting
) -> CellRow:
    first, tokens = entries[0], sum(map(counting.of, entries))
    if first.kind == "cells":
        head = holds.runs.get(first.run)
        if head is None:
            return CellRow(f"cells listed in turn {first.turn}", tokens)
        marks = ", pinned" if holds.pins(head) else ""
        mark = holds.mark(head.handle)
        marks += f",{mark}" if mark else ""
        return CellRow(f"{head.handle}, {head.label}{marks}: {head.line[:_SAID]}", tokens)
    turn = turns.get(first.turn)
    steps = sum(isinstance(entry.item, FunctionCallOutput) for entry in entries)
    count = f", In [{turn.count}]" if turn and turn.count is not None else ""
    marks = ", pinned" if f"turn:{first.turn}" in holds.marks.pinned else ""
    later = holds.superseded.get(first.turn)
    marks += f", superseded by turn {later}" if later else ""
    line = turn.line if turn else ""
    said = f"{line[:_SAID]}{'…' * (len(line) > _SAID)}"
    return CellRow(f"turn {first.turn}{count}, {count_of(steps, 'step')}{marks}: {said}", tokens)
