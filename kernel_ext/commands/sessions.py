"""`%agent new`, `resume`, `history`: sessions and their records."""

import time
from collections.abc import Sequence
from pathlib import Path

from ...agent.conversation.record import ReadLine, lost_words, read_record
from ...agent.errors import UsageError
from ...agent.protocol.events import Usage
from ...agent.protocol.record_lines import EndedLine, TurnLine
from ...agent.text.lines import count_of
from ...widgets.panels.cards import Card, Rows
from ..host import KernelAgent
from .command import Command


def new(agent: KernelAgent, _rest: str) -> Card:
    """Begin a new session."""
    turns = agent.overview.turns
    agent.new()
    session = agent.overview.session_id
    return Card(f"A new session begins: {session}. The old record has {count_of(turns, 'turn')}.")


def resume(agent: KernelAgent, rest: str) -> Card:
    """Continue the session of a record."""
    path = find_session(agent.sessions_folder(), rest, agent.overview.session_id)
    resumed = agent.resume(path)
    now = agent.overview
    rows = [*turn_rows(path)[-1:], *lost_rows(resumed.lost)]
    if resumed.limits:
        typed = ", ".join(f"{key} = {value}" for key, value in resumed.limits.items())
        rows.append(("again", f"{typed}: you typed it there, and it is stricter than here"))
    return Card(
        f"Session {now.session_id} goes on: {count_of(now.turns, 'turn')}, "
        f"{count_of(now.items, 'item')}. Your variables stay as they are in this kernel.",
        rows,
    )


def history(agent: KernelAgent, rest: str) -> Card:
    """The turns of one session, or all sessions."""
    folder, now = agent.sessions_folder(), agent.overview
    if rest == "all":
        paths = sorted(folder.glob("*/*.jsonl"), key=lambda path: path.name, reverse=True)
        return Card(
            f"{count_of(len(paths), 'session')} in {folder}",
            [session_row(path) for path in paths[:50]],
        )
    if rest:
        path = find_session(folder, rest, now.session_id)
        return _turns_card(path)
    if now.record is None:
        return Card("This session has no turns yet.")
    return _turns_card(now.record)


def _turns_card(path: Path) -> Card:
    lost = [read for read in read_record(path) if read.line is None]
    return Card(f"session {path.stem}", [*turn_rows(path), *lost_rows(lost)])


def find_session(folder: Path, name: str, present: str) -> Path:
    """The record of the session called `name`. Without a name, the latest but the `present`.

    Raises UsageError when there is none.
    """
    found = sorted(folder.glob(f"*/{Path(name).name or '*'}.jsonl"), key=lambda path: path.name)
    others = [path for path in found if name or path.stem != present]
    if not others:
        raise UsageError(
            f"There is no session {f'{name!r} ' if name else ''}in {folder}.",
            "`%agent history all` lists them.",
        )
    return others[-1]


def session_row(path: Path) -> tuple[str, str]:
    """A session on one line: its name, the time of its last entry, its size."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))
    return path.stem, f"{when}, {path.stat().st_size / 1024:,.0f} KiB"


def turn_rows(path: Path) -> Rows:
    """One row for each turn: the prompt, and how it ended."""
    said: dict[int, str] = {}
    ended: dict[int, str] = {}
    turn = 0
    for read in read_record(path):
        line = read.line
        if isinstance(line, TurnLine):
            turn = line.turn
            said[turn] = line.said.strip().partition("\n")[0][:80]
        elif isinstance(line, EndedLine):
            ended[turn] = _ending(line)
    return [(str(n), f"{text}\n{ended.get(n, 'not ended')}") for n, text in said.items()]


def lost_rows(lost: Sequence[ReadLine]) -> Rows:
    """A row that names the lines of a record that cannot be read, if there are any."""
    return [("lost", f"{lost_words(lost)}: not readable in the record")] if lost else []


def _ending(line: EndedLine) -> str:
    used = Usage(**line.usage)
    samples = f"{count_of(line.samples, 'sample')}, {used.input:,} tokens in, {used.output:,} out"
    return f"{line.status}: {samples}" + (f"; {line.error}" if line.error else "")


COMMANDS = (
    Command("new", "forget the conversation; the variables and the old record stay", new),
    Command(
        "resume", "[SESSION] — continue a session from its record: the latest, or by name", resume
    ),
    Command(
        "history",
        "[SESSION | all] — the turns of this session, of another, or all sessions",
        history,
    ),
)
