"""Writes history and record together, so that a session can go on from its record at any byte.

Knows no model and no tool.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from ..errors import RecordError
from ..frozen import frozen
from ..protocol.items import (
    FunctionCallOutput,
    Item,
    Message,
    output_of,
    sendable,
    text_part,
)
from ..protocol.record_lines import ItemLine, RecordLine, WindowLine
from .digest import Digest
from .history import Entry, EntryKind, OpaqueStart
from .record import Record, text_at
from .splices import LEAST_ITEM, MOST, Splice, splices_of
from .state import Conversation, KnownContext

INTERRUPTED = "Not finished: the turn ended here. Code that ran before may have had effects."


@frozen
class Journal:
    """Changes a conversation and writes each change to its record.

    Methods raise RecordError when the record cannot be written. The conversation has changed even
    then, and goes on; a resume later lacks that change.
    """

    record: Record
    conversation: Conversation

    def write(self, line: RecordLine) -> None:
        """Write a line to the record, and its change to the conversation."""
        self.conversation.follow(line)
        self.record.append(line)

    def commit(self, item: Item, kind: EntryKind = "model", run: str | None = None) -> None:
        """Add an item to the window, for good. `run`: the handle of the cell run it describes."""
        item = sendable(self.record.mask.value(item))
        if isinstance(item, FunctionCallOutput):
            kind = "output"
        self._append([Entry(item, self.conversation.turns, self.conversation.cell, kind, run)])

    def close_open_calls(self) -> None:
        """Answer every call that has no output, so that the conversation can go on."""
        turn, cell = self.conversation.turns, self.conversation.cell
        parts = [text_part(INTERRUPTED)]
        calls = self.conversation.history.open_calls
        outputs = [output_of(call, parts) for call in calls]
        self._append([Entry(output, turn, cell, "output") for output in outputs])

    def know(self, known: KnownContext) -> None:
        """Replace what the model knows of its context."""
        before, self.conversation.told = self.conversation.told, known
        if known != before:
            self.record.append(before.changes(known))

    def rewrite(
        self,
        entries: Sequence[Entry],
        why: str,
        digest: Digest | None,
        opaque: OpaqueStart | None = None,
    ) -> None:
        """Replace the whole window. The provider's cache breaks once.

        `digest` is that of the new window, or of the entries that its opaque start replaces.
        """
        from .mend import reachable  # most turns rewrite no window

        conversation, history = self.conversation, self.conversation.history
        before = history.tokens
        entries = [*reachable(entries)]
        entries, opaque, digest = self.record.mask.value((entries, opaque, digest))
        last, conversation.digest = conversation.digest, digest  # before a disk may be full
        for numbered in history.rewrite(entries, opaque):
            self._write(*numbered, apart=True)
        seal = history.seal
        local = [entry for _, entry in seal.local] if seal else []
        self.record.append(
            WindowLine(
                why=why,
                before=before,
                after=history.tokens,
                entries=list(_spans(history.numbers)),
                digest=self._unheld(digest, last, [*history.entries, *local]) if digest else None,
                by=seal.by if seal else None,
                sealed=seal.count if seal else None,
                local=list(_spans([n for n, _ in seal.local])) if seal else None,
                limit=conversation.window,
            )
        )

    def hand_over(
        self, provider: str, dialect: str = "responses", *, searches: bool = True
    ) -> None:
        """Replace or leave out what only another provider can read, before this one goes on.

        `dialect`: the one that it speaks. Another has its own words in items, which stay with it.
        `searches`: its model can search for tools.
        """
        history, before = self.conversation.history, self.conversation.provider
        foreign, new = history.seal is not None and history.seal.by != provider, history.local
        if before not in ("", provider) or history.spoken - {dialect}:
            from .mend import carried

            items = [(entry, carried(entry.item)) for entry in new]
            new = [replace(entry, item=item) for entry, item in items if item]
            foreign = foreign or any(not item or item.wire != it.item.wire for it, item in items)
        elif history.searched and not searches:
            from .mend import without_searches

            foreign, new = True, [*without_searches(new)]
        if foreign:
            self.rewrite(new, "provider", self.conversation.digest)

    def mask(self) -> None:
        """Take keys out of the window that were not known when it was written."""
        conversation, mask = self.conversation, self.record.mask
        if conversation.mask != mask:
            conversation.mask = mask
            entries, opaque = conversation.history.entries, self._opaque
            held = (entries, opaque, conversation.digest)
            if mask.value(held) is not held:
                self.rewrite(entries, "keys", conversation.digest, opaque)

    def withdraw(self, kept: int) -> None:
        """Take the entries after the first `kept` out of the window: an answer that failed."""
        entries = self.conversation.history.entries
        if len(entries) > kept:
            self.rewrite(entries[:kept], "withdrawn", self.conversation.digest, self._opaque)

    @property
    def _opaque(self) -> OpaqueStart | None:
        """The opaque start of the present window, for a new one."""
        seal = self.conversation.history.seal
        local = [entry for _, entry in seal.local] if seal else []
        return OpaqueStart(seal.by, seal.count, local) if seal else None

    def _append(self, entries: Sequence[Entry]) -> None:
        """Append all to the window before writing any, so that a full disk leaves no call open."""
        history = self.conversation.history
        for numbered in [(history.append(entry), entry) for entry in entries]:
            self._write(*numbered)

    def _unheld(
        self, digest: Digest, last: Digest | None, entries: Sequence[Entry]
    ) -> dict[str, Any]:
        """The digest's fields, without texts that the record holds already.

        Its text may be an item. A turn as in the last digest is its number.
        """
        known = {turn.turn: turn for turn in last.said} if last else {}
        held = any(
            entry.kind == "digest"
            and isinstance(entry.item, Message)
            and entry.item.text == digest.text
            for entry in entries
        )
        said = [
            {"turn": turn.turn} if known.get(turn.turn) == turn else turn.model_dump()
            for turn in digest.said
        ]
        return {**digest.model_dump(exclude={"said", *(("text",) if held else ())}), "said": said}

    def _write(self, n: int, entry: Entry, apart: bool = False) -> None:
        wire, splices = entry.item.wire, self._splices(entry)
        self.record.append(
            ItemLine(
                n=n,
                turn=entry.turn,
                cell=entry.cell,
                about=entry.kind,
                run=entry.run,
                apart=apart,
                splices=splices,
                wire=b"" if splices else wire,
            )
        )

    def _splices(self, entry: Entry) -> list[Splice] | None:
        """The item as splices of the line of the run that it shows, if that is there."""
        record, wire = self.record, entry.item.wire
        if len(wire) < LEAST_ITEM or entry.run not in record.places:
            return None
        with contextlib.suppress(RecordError):
            run = text_at(record.path, record.places[entry.run], MOST)
            return splices_of(wire.decode(), run.decode(errors="ignore"))  # the last may be cut


def _spans(numbers: Sequence[int]) -> Iterator[list[int]]:
    """First and last of each range of consecutive numbers."""
    for _, row in groupby(enumerate(numbers), lambda it: it[1] - it[0]):
        members = [n for _, n in row]
        yield [members[0], members[-1]]
