"""The `%agent` subcommands that change the window, or take back: compact, digest, pin, undo …"""

from collections.abc import AsyncGenerator

from IPython.display import clear_output

from ...agent.compaction.budget import window_budget
from ...agent.compaction.compact import compact_now, preview
from ...agent.compaction.marks import conceal, edit, forget_names, go_back, named
from ...agent.compaction.marks import hide as hide_cells
from ...agent.compaction.marks import pin as pin_cells
from ...agent.compaction.marks import show as show_cells
from ...agent.errors import UsageError
from ...agent.protocol.events import Compacted, Event
from ...agent.responses.client import Client
from ...agent.session import Session
from ...widgets.panels.cards import Card, TextCard
from ..host import KernelAgent
from .ask_now import find_now, now

EDIT = "%%agent --digest"
"""The first line of a cell whose text takes the place of the digest."""


def compact(agent: KernelAgent, rest: str) -> Card | TextCard:
    """[--preview] — make the window shorter now; or only show what that would come to"""
    session = agent.session_now()
    fields = agent.fields or session.fields()
    if rest == "--preview":
        done = preview(session, fields, "asked")
        before = session.conversation.history.tokens
        title = (
            f"About {before:,} → {done.tokens:,} tokens of conversation: {done.dropped.words()}."
            " `%agent compact` does it, and asks the model for notes first."
        )
        return TextCard(title, done.digest.text)
    if rest:
        raise UsageError(f"%agent compact has no option {rest!r}.", "There is --preview.")
    settings = agent.choose().settings
    print("Asking the model for notes …", flush=True)
    client = Client(find_now(agent, settings), settings)
    ended = now(_drained(agent.session(settings, client), fields, client))
    clear_output(wait=True)  # what was waited for is there
    if ended.after >= ended.before:
        return Card(f"Nothing could be left out of {ended.before:,} tokens.")
    whose = {
        "model": "new",
        "earlier": "those there were",
        "none": "none: the model gave none",
        "unasked": "not needed yet",
    }
    return Card(
        f"{ended.before:,} → {ended.after:,} tokens: {ended.dropped}.",
        [
            ("notes", whose[ended.notes]),
            ("asking took", f"{ended.usage.input:,} tokens in, {ended.usage.output:,} out"),
            ("see it", "%agent digest, %agent context"),
        ],
    )


def next_compaction(session: Session, fields: bytes) -> str:
    """When the next compaction comes and what it would leave out, in a line or two."""
    room, conversation = window_budget(session, fields), session.conversation
    if room is None:
        return (
            "Nobody knows the model's window: a compaction comes when the server refuses a request"
            " as too long. `%agent config window N` says how large it is."
        )
    full = session.settings.compact_at
    left = int((room.holds(full) - conversation.history.tokens) * room.factor)
    when = f"in about {left:,} tokens" if left > 0 else "with the next request"
    done = preview(session, fields)
    return f"A compaction comes at {full:.0%}, {when}. Now it would take: {done.dropped.words()}."


def digest(agent: KernelAgent, rest: str) -> TextCard | Card:
    """[--edit] — what stands for the earlier conversation; or edit it in a new cell"""
    found = agent.session_now().conversation.digest
    if found is None:
        return Card("There is no digest yet: all of the conversation is in the window.")
    if rest == "--edit":
        agent.shell.set_next_input(f"{EDIT}\n{found.text}")
        return Card("The digest is in a new cell below: change it there and run that cell.")
    return TextCard("What stands for the earlier conversation:", found.text)


def edit_digest(agent: KernelAgent, text: str) -> Card:
    """Have the text of a `%%agent --digest` cell in place of the digest."""
    changed = edit(agent.session_now(), text)
    return Card(
        "The digest is as you wrote it from the next request on.",
        [("sections taken over", "State, Plan, Decisions, Facts, and your own" if changed else "")],
    )


def pin(agent: KernelAgent, rest: str) -> Card:
    """CELL — keep a cell whole through compactions; CELL as 12, out-7, turn 3 or an id"""
    session = agent.session_now()
    cells = named(session, rest)
    pin_cells(session, cells)
    return Card(f"Pinned: {cells.label}. `%agent unpin` lets go of it.")


def unpin(agent: KernelAgent, rest: str) -> Card:
    """CELL — let compactions have it again"""
    session = agent.session_now()
    cells = named(session, rest)
    pin_cells(session, cells, pinned=False)
    return Card(f"No longer pinned: {cells.label}.")


def hide(agent: KernelAgent, rest: str) -> Card:
    """CELL — take a cell, or a turn, away from the model: window, digest and recall"""
    session = agent.session_now()
    cells = named(session, rest)
    hide_cells(session, cells, agent.fields or session.fields())
    return Card(
        f"Hidden from the next request on: {cells.label}. What was sent was sent.",
        [("undo", f"%agent show {rest}"), ("variables", "as before: hide tells less of cells")],
    )


def show(agent: KernelAgent, rest: str) -> Card:
    """CELL — bring a cell back whole, hidden or compacted"""
    session = agent.session_now()
    cells = named(session, rest)
    show_cells(session, cells)
    return Card(f"The model has it whole from the next request on: {cells.label}.")


def rewind(agent: KernelAgent, rest: str) -> Card:
    """CELL — go back to before that cell's turn: the conversation only, not your variables"""
    session = agent.session_now()
    turn = go_back(session, named(session, rest))
    agent.reread()
    if agent.conversation.history.entries:
        conceal(agent.session_now(), agent.fields)
    left = len(agent.conversation.heads)
    return Card(
        f"Back to before turn {turn.turn} ({turn.line}): {left} turn(s) remain in the conversation."
        " Variables and files are as they are; the record keeps what was taken back."
    )


def undo(agent: KernelAgent, rest: str) -> Card:
    """[--all] — your variables as they were before the last turn that ran code, in place too"""
    agent.refuse_while_running()
    if rest not in ("", "--all"):
        raise UsageError(f"%agent undo has no option {rest!r}.", "There is --all.")
    turn, limits = agent.undo.turn, agent.undo.limits
    mentioned = set(filter(agent.undo.mentions, agent.shell.user_ns))
    print("Looking at what the turn changed …", flush=True)
    done = agent.undo.undo(agent.shell, agent.runs(), rest == "--all")
    clear_output(wait=True)
    failed = {name: why for name, why in done.failed.items() if name in mentioned}
    inside = done.changed_in_place
    if agent.conversation.history.entries:
        names = (*done.back, *done.removed, *(it.name for it in inside))
        forget_names(agent.session_now(), names)
    changed = [it.name if it.same else f"{it.name} (as a new object)" for it in inside]
    rows = (
        ("bound again", ", ".join(done.back)),
        ("changed in place", ", ".join(changed)),
        ("removed", ", ".join(done.removed)),
        ("not brought back", "; ".join(f"{name}: {why}" for name, why in failed.items())),
        ("cannot be looked into", ", ".join(name for name in done.failed if name not in failed)),
        ("note", limits),
    )
    told = [(name, value) for name, value in rows if value]
    if not told:
        return Card(f"Turn {turn} had changed none of your variables.")
    return Card(
        f"Your variables are as they were before turn {turn}. Files are as they are;"
        " `%agent rewind` takes the conversation back, too.",
        told,
    )


async def _drained(session: Session, fields: bytes, client: Client) -> Compacted:
    try:
        return await _last(compact_now(session, fields))
    finally:
        await client.close()


async def _last(events: AsyncGenerator[Event]) -> Compacted:
    ended = [event async for event in events if isinstance(event, Compacted)]
    return ended[-1]
