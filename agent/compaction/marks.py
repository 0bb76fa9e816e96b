"""The person's changes of the window: pin, hide and bring back cells, edit the digest, go back.

The record has all of them. Knows no shell, and shows nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..context.cells import told_again
from ..conversation.digest import Digest, edited_digest
from ..conversation.history import Entry
from ..conversation.references import (
    HANDLE,
    CountReference,
    HandleRange,
    HandleReference,
    no_cell,
    parse_reference,
)
from ..conversation.runs import RunSummary, TurnHead, turns_named
from ..conversation.validity import validity
from ..errors import UsageError
from ..frozen import frozen
from ..protocol.items import Message, message, text_part
from ..protocol.observed import Variable
from ..protocol.record_lines import MarkLine, RewindLine
from ..session import Session
from .budget import target_of
from .inputs import compaction_input
from .shorten import rebuild


@frozen
class Named:
    """The runs, or turns of the agent, that a text names. `keys`: the keys for their marks."""

    runs: tuple[RunSummary, ...] = ()
    turns: tuple[TurnHead, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Each key once."""
        turns = [f"turn:{head.turn}" for head in self.turns]
        return tuple(dict.fromkeys([*(head.key for head in self.runs), *turns]))

    @property
    def label(self) -> str:
        """The runs and turns in words."""
        runs = [f"{head.handle} ({head.label})" for head in self.runs]
        return ", ".join([*runs, *(f"turn {head.turn}" for head in self.turns)])


def named(session: Session, words: str) -> Named:
    """The cells that `words` name: `12` or `In [12]`, `out-7`, `turn 3`, a notebook cell's id.

    A count names the latest run or turn that had it, as each kernel counts anew. One of a step
    names nothing. Raises UsageError.
    """
    reference = parse_reference(words)
    runs, count = session.outputs.runs.named(reference), isinstance(reference, CountReference)
    if not (count or isinstance(reference, HandleReference | HandleRange)):
        runs = _of_person(runs)
    turns = turns_named(reference, session.conversation.heads)
    if runs and turns and (count or runs[-1].cell != turns[-1].cell):
        newer = turns[-1].turn >= runs[-1].turn
        runs, turns = ((), turns) if newer else (runs, ())
    if count:
        runs = _of_person(runs)
    if not runs and not turns:
        raise UsageError(
            no_cell(words) if words.strip() else "Which cell?",
            "Name one by its number as `12`, by `out-7`, `turn 3`, or its id:"
            " `%agent context` lists them.",
        )
    return Named(runs, turns)


def pin(session: Session, cells: Named, pinned: bool = True) -> None:
    """Keep cells whole through compactions, or no longer."""
    _mark(session, cells, "pin" if pinned else "unpin")


def hide(session: Session, cells: Named, fields: bytes) -> None:
    """Take cells out of the window and the digest, and hide them from `recall`."""
    _mark(session, cells, "hide")
    conceal(session, fields)


def conceal(session: Session, fields: bytes) -> None:
    """Take hidden cells out of the window, if any are in it."""
    conversation = session.conversation
    if not conversation.marks.hidden:
        return
    turns = {
        head.turn for head in conversation.heads if f"turn:{head.turn}" in conversation.marks.hidden
    }
    about = compaction_input(session)
    handles = {head.handle for head in about.runs.heads if about.validity.hides(head)}
    kept = [entry for entry in conversation.history.local if not _is_of(entry, turns, handles)]
    digest = conversation.digest and _without(conversation.digest, turns, handles)
    done = rebuild(kept, replace(about, digest=digest), target_of(session, fields))
    if len(kept) < len(conversation.history.local) or (digest and done.digest.text != digest.text):
        session.journal.rewrite(done.entries, "hidden", done.digest)


def show(session: Session, cells: Named) -> None:
    """Show runs to the model again, whole. They are no longer hidden."""
    _mark(session, cells, "show")
    turns = {head.turn for head in cells.turns}
    runs = session.outputs.runs
    heads = [head for head in runs.heads if head.by == "agent" and head.turn in turns]
    holds = validity(session.conversation, session.outputs.runs)
    for head in (*cells.runs, *heads):
        run = session.outputs.run(head.handle)
        item = told_again(head, run, holds.after(head.handle))
        session.journal.commit(item, "cells", head.handle)


def edit(session: Session, text: str) -> Digest:
    """Replace the text of the digest. Raises UsageError when there is no digest."""
    conversation = session.conversation
    if conversation.digest is None:
        raise UsageError("There is no digest yet.", "`%agent compact` makes one.")
    digest = edited_digest(conversation.digest, text)
    entries = [
        replace(entry, item=message("user", text_part(digest.text)))
        if entry.kind == "digest"
        else entry
        for entry in conversation.history.local
    ]
    session.journal.rewrite(entries, "edited", digest)
    return digest


def go_back(session: Session, cells: Named) -> TurnHead:
    """Record that the conversation is again as before a turn. Returns that turn.

    The caller reads the record anew and calls `conceal`. Raises UsageError when no turn is named.
    """
    if not cells.turns:
        raise UsageError(
            f"{cells.label} is no turn of the agent's.",
            "Name a cell with %%agent, or `turn 3`.",
        )
    turn = cells.turns[-1]
    session.journal.close_open_calls()
    session.journal.write(RewindLine(turn=turn.turn))
    return turn


def forget_names(session: Session, names: Iterable[str]) -> None:
    """Note that the model's knowledge of these is out of date. The next turn tells it anew."""
    told = session.conversation.told
    unknown = {name: Variable(name, "", "undone:") for name in names}
    session.journal.know(replace(told, names={**told.names, **unknown}))


def _of_person(runs: Iterable[RunSummary]) -> tuple[RunSummary, ...]:
    return tuple(head for head in runs if head.by == "person")


def _mark(session: Session, cells: Named, mark: str) -> None:
    for key in cells.keys:
        session.journal.write(MarkLine(mark=mark, key=key))
    session.outputs.runs.together.clear()


def _is_of(entry: Entry, turns: set[int], handles: set[str]) -> bool:
    """True if the entry shows a hidden run or turn. The environment of that turn does not count."""
    if entry.kind != "cells":
        return entry.turn in turns and entry.kind in ("said", "model", "output")
    if entry.run is None and isinstance(entry.item, Message):  # a line each of several runs
        return not handles.isdisjoint(HANDLE.findall(entry.item.text))
    return entry.run in handles


def _without(digest: Digest, turns: set[int], handles: set[str]) -> Digest:
    """The digest without notes and turns that rest on these."""

    def kept(sources: Sequence[str]) -> bool:
        return not handles.intersection(sources)

    notes = digest.notes.model_copy(
        update={
            "decisions": tuple(it for it in digest.notes.decisions if kept(it.sources)),
            "facts": tuple(it for it in digest.notes.facts if kept(it.sources)),
        }
    )
    said = tuple(turn for turn in digest.said if turn.turn not in turns)
    return digest.model_copy(update={"notes": notes, "said": said})
