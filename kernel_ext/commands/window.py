"""`%agent context`, `compact`, `digest`, `pin` …: shows and changes the model's window."""

import asyncio
from collections.abc import AsyncGenerator

from ...agent.compaction.budget import window_budget
from ...agent.compaction.compact import compact_now, is_worthwhile, preview
from ...agent.compaction.marks import edit, go_back, named
from ...agent.compaction.marks import hide as hide_cells
from ...agent.compaction.marks import pin as pin_cells
from ...agent.compaction.marks import show as show_cells
from ...agent.compaction.note_taking import NOTES_SECONDS
from ...agent.compaction.shorten import CompactedWindow
from ...agent.conversation.digest import taken_over
from ...agent.errors import UsageError
from ...agent.protocol.events import Compacted, Event
from ...agent.providers.resolve import Target
from ...agent.session import Session
from ...agent.text.lines import count_of
from ...agent.transport.client import Client
from ...widgets.panels.cards import Card, TextCard
from ...widgets.panels.context_card import ContextCard, RawCard
from ..connections import UNASKED
from ..host import KernelAgent
from .command import Command, counted
from .context_card import Counting, context_card

EDIT = "%%agent --digest"
"""The first line of a cell whose text replaces the digest."""


async def context(agent: KernelAgent, rest: str) -> ContextCard | RawCard | Card:
    """Show the window's figures, or the next request."""
    settings = agent.choose().settings
    if rest == "--raw":
        return RawCard(agent.next_request())
    if rest:
        raise UsageError("`%agent context` takes only --raw.", "It shows the next request.")
    if not agent.overview.items:
        return Card("The model's window is empty. The first %%agent cell fills it.")
    found = await agent.connections.found(settings)
    target = found if isinstance(found, Target) else UNASKED
    session = agent.session(settings, Client(target, settings))
    coming = next_compaction(session, agent.fields)
    counting = Counting(agent.connections.counter(target), target.model)
    return context_card(session, agent.fields, counting, coming)


async def compact(agent: KernelAgent, rest: str) -> Card | TextCard:
    """Compact the window, with words on what matters, or only show the result."""
    session = agent.session_now()
    fields = agent.fields or session.fields()
    if rest == "--preview":
        done = preview(session, fields, "asked")
        if not is_worthwhile(session, done):
            return _useless(session, done)
        before = session.conversation.history.tokens
        title = (
            f"About {before:,} → {done.tokens:,} tokens of conversation: {done.dropped.words()}."
            " `%agent compact` does it, and asks the model for notes first."
        )
        return TextCard(title, done.digest.text)
    if rest.startswith("-"):
        raise UsageError(
            f"%agent compact has no option {rest!r}.",
            'You can use --preview, or say what matters: `%agent compact "keep the decisions"`.',
        )
    settings = agent.choose().settings
    await asyncio.sleep(0)
    client, matters = Client(await agent.connections.find(settings), settings), _unquoted(rest)
    try:
        session, ours = agent.session(settings, client), settings.compaction == "cells"
        fields = _fields(agent, session)
        if ours and not is_worthwhile(session, done := preview(session, fields, "asked")):
            return _useless(session, done)
        asking = (
            f"the model for notes, for {NOTES_SECONDS:.0f} s at most" if ours else "the provider"
        )
        session.hand_over()
        async with counted(f"Asking {asking}"):
            ended = await _last(compact_now(session, fields, matters))
    finally:
        await client.close()
    return _compacted(ended, matters)


def _fields(agent: KernelAgent, session: Session) -> bytes:
    """The fixed part of the last turn's requests, if they were for the model of this session."""
    last = agent.connections.client
    same = agent.fields and last and last.target == session.target
    return agent.fields if same else session.fields()


def _useless(session: Session, done: CompactedWindow) -> Card:
    before = session.conversation.history.tokens
    return Card(
        f"A compaction would not help now: about {before:,} tokens of conversation would"
        f" become {done.tokens:,}."
    )


def _compacted(ended: Compacted, matters: str) -> Card:
    """The result of a compaction, and what became of the words on what `matters`."""
    if ended.after >= ended.before:
        return Card(f"Nothing could be left out of {ended.before:,} tokens.")
    whose = {
        "model": "new",
        "earlier": f"the earlier ones. {ended.failed}",
        "none": f"none. {ended.failed}",
        "unasked": "not needed yet",
    }
    asked, used = ended.notes != "unasked", ended.usage
    lost = "they had no effect: only new notes follow them. `%agent digest --edit` takes them in."
    rows = (
        ("notes", whose[ended.notes].strip()),
        ("your words", lost if matters and ended.notes != "model" else ""),
        ("asking took", f"{used.input:,} tokens in, {used.output:,} out" if asked else ""),
        ("see it", "%agent digest, %agent context"),
    )
    title = f"{ended.before:,} → {ended.after:,} tokens: {ended.dropped}."
    return Card(title, [row for row in rows if row[1]])


def next_compaction(session: Session, fields: bytes) -> str:
    """A line or two on when the next compaction comes, and what it would leave out."""
    room, conversation = window_budget(session, fields), session.conversation
    if room is None:
        return (
            "The size of the model's window is unknown. A compaction comes when the server refuses"
            " a request as too long. `%agent config window N` sets the size."
        )
    full = session.settings.compact_at
    left = int((room.holds(full) - conversation.history.tokens) * room.factor)
    when = f"in about {left:,} tokens" if left > 0 else "with the next request"
    done = preview(session, fields)
    words = done.dropped.words() if is_worthwhile(session, done) else "nothing"
    return f"A compaction comes at {full:.0%}, {when}. Now it would take: {words}."


def digest(agent: KernelAgent, rest: str) -> TextCard | Card:
    """Show the digest, or put it into a new cell."""
    if rest not in ("", "--edit"):
        raise UsageError("`%agent digest` takes only --edit.", "It puts the digest into a cell.")
    found = agent.session_now().conversation.digest
    if found is None:
        return Card("There is no digest yet. The whole conversation is in the window.")
    if rest == "--edit":
        agent.put_below(f"{EDIT}\n{found.text}")
        return Card("The digest is in a new cell below. Change it there and run that cell.")
    return TextCard("The digest replaces the earlier conversation:", found.text)


def edit_digest(agent: KernelAgent, text: str) -> Card:
    """Replace the digest by the text of a `%%agent --digest` cell."""
    digest = edit(agent.session_now(), text)
    taken = ", ".join(taken_over(digest)) or "none of its sections"
    title = "From the next request on, the digest is as you wrote it."
    return Card(title, [("the next one takes over", taken)])


def pin(agent: KernelAgent, rest: str) -> Card:
    """Pin a cell, so that compactions do not change it."""
    session = agent.session_now()
    cells = named(session, rest)
    pin_cells(session, cells)
    return Card(f"Pinned: {cells.label}. `%agent unpin` undoes this.")


def unpin(agent: KernelAgent, rest: str) -> Card:
    """Unpin a cell, so that compactions may shorten it again."""
    session = agent.session_now()
    cells = named(session, rest)
    pin_cells(session, cells, pinned=False)
    return Card(f"No longer pinned: {cells.label}.")


def hide(agent: KernelAgent, rest: str) -> Card:
    """Hide a cell from the model."""
    session = agent.session_now()
    cells = named(session, rest)
    hide_cells(session, cells, agent.fields or session.fields())
    return Card(
        f"Hidden from the next request on: {cells.label}. Earlier requests had it.",
        [("undo", f"%agent show {rest}"), ("variables", "not hidden: hide is only for cells")],
    )


def show(agent: KernelAgent, rest: str) -> Card:
    """Show the model the whole cell again."""
    session = agent.session_now()
    cells = named(session, rest)
    show_cells(session, cells)
    return Card(f"From the next request on, the model has it whole: {cells.label}.")


def rewind(agent: KernelAgent, rest: str) -> Card:
    """Take turns of the conversation back."""
    session = agent.session_now()
    turn = go_back(session, named(session, rest))
    agent.reread()
    agent.conceal()
    left = agent.overview.left
    return Card(
        f"Back to before turn {turn.turn} ({turn.line}). The conversation has"
        f" {count_of(left, 'turn')} left. Variables and files are unchanged."
        " The record keeps the turns that were taken back."
    )


def _unquoted(words: str) -> str:
    quoted = len(words) > 1 and words[0] == words[-1] and words[0] in "\"'"
    return words[1:-1].strip() if quoted else words


async def _last(events: AsyncGenerator[Event]) -> Compacted:
    ended = [event async for event in events if isinstance(event, Compacted)]
    return ended[-1]


COMMANDS = (
    Command(
        "context",
        "[--raw] — show the model's window, by kind and by cell, or the exact next request",
        context,
        (
            ("", "the model's window, by kind and by cell, and the next compaction"),
            ("--raw", "the exact next request"),
        ),
    ),
    Command(
        "compact",
        "[--preview | WHAT MATTERS] — make the window shorter now, or only show the result",
        compact,
        (
            ("", "make the window shorter now"),
            ("WHAT MATTERS", "the same, with words for the model's notes"),
            ("--preview", "only show the effect"),
        ),
    ),
    Command(
        "digest",
        "[--edit] — show what replaces the earlier conversation, or edit it in a new cell",
        digest,
        (
            ("", "the digest of the earlier conversation"),
            ("--edit", "edit it, in a new cell"),
        ),
    ),
    Command(
        "pin",
        "CELL — keep a cell whole through compactions, given as 12, out-7, turn 3 or an id",
        pin,
    ),
    Command("unpin", "CELL — let compactions shorten it again", unpin),
    Command(
        "hide",
        "CELL — hide a cell or a turn from the model: from window, digest and recall",
        hide,
    ),
    Command("show", "CELL — bring a cell back whole, hidden or compacted", show),
    Command(
        "rewind",
        "CELL — take the conversation back to before that cell's turn, but not your variables",
        rewind,
    ),
)
