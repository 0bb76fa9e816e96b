"""`%agent new`, `resume`, `history`: sessions and their records."""

from collections.abc import Sequence
from pathlib import Path

from ...agent.conversation.record import ReadLine, read_record
from ...agent.conversation.session_files import (
    Place,
    all_sessions,
    latest_session,
    lost_words,
    named_session,
    session_file,
)
from ...agent.conversation.state import Conversation
from ...agent.errors import UsageError
from ...agent.protocol.events import Usage
from ...agent.protocol.record_lines import EndedLine, RewindLine, TurnLine
from ...agent.providers.catalog import PROVIDERS, Provider
from ...agent.providers.resolve import chosen
from ...agent.text.lines import count_of
from ...widgets.panels.cards import Card, Rows
from ..environment import find_notebook, working_folder
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
    named = chosen(agent.choose().settings) or (None, None)
    before, folder = agent.overview, agent.sessions_folder()
    here = Place(str(working_folder()), find_notebook(agent.shell) or "")
    path = (
        named_session(folder, rest)
        if rest
        else latest_session(folder, here, before.session_id, before.resumed)
    )
    if before.record and path.stem == before.session_id:
        raise UsageError(
            f"Session {before.session_id} is open here already.",
            "`%agent resume SESSION` continues another one, and `%agent history all` lists them.",
        )
    resumed = agent.resume(path)
    now, last = agent.overview, [str(head.turn) for head in resumed.conversation.heads[-1:]]
    rows = [row for row in turn_rows(path) if row[0] in last]
    rows += lost_rows(resumed.lost, resumed.missing, resumed.broken)
    rows.append(("from", session_file(path).words))
    if resumed.conversation.model:
        rows.append(("model", _model_row(resumed.conversation, *named)))
    if before.turns:
        rows.append(("left", f"{before.session_id}; `%agent resume {before.session_id}`: back"))
    if resumed.limits:
        typed = ", ".join(f"{key} = {value}" for key, value in resumed.limits.items())
        rows.append(("again", f"{typed}: you typed it there, and it is stricter than here"))
    same = resumed.conversation.told.kernel == agent.kernel
    variables = (
        "Your variables stay as they are in this kernel."
        if same
        else "It ran in another kernel: run the cells again whose variables you need."
    )
    return Card(
        f"Session {now.session_id} goes on: {count_of(now.left, 'turn')},"
        f" {count_of(now.items, 'item')}. {variables}",
        rows,
    )


def _model_row(then: Conversation, provider: Provider | None, model: str | None) -> str:
    """The model that goes on, if the settings name it, and the one of before."""
    now = model or (provider.default_model if provider else None)
    if provider is None or now is None:
        was = f"{then.model} at {then.provider} before"
        return f"{was}. `%agent model` shows and changes the present one"
    if (provider.name, now) == (then.provider, then.model):
        return f"{now} at {provider.name}, as before"
    back = f"{then.provider}:{then.model}" if then.provider in PROVIDERS else then.model
    return (
        f"{now} at {provider.name}, from now on. It was {then.model} at {then.provider}."
        f" `%agent model {back}` changes it"
    )


def history(agent: KernelAgent, rest: str) -> Card:
    """The turns of one session, or all sessions."""
    folder, now = agent.sessions_folder(), agent.overview
    if rest == "all":
        paths = all_sessions(folder)
        return Card(
            f"{count_of(len(paths), 'session')} in {folder}",
            [session_row(path) for path in paths[:50]],
        )
    if rest:
        return _turns_card(named_session(folder, rest))
    if now.record is None:
        return Card("This session has no turns yet.")
    return _turns_card(now.record)


def _turns_card(path: Path) -> Card:
    reads = list(read_record(path))
    lost, broken = (
        [read for read in reads if read.line is None],
        [read for read in reads if not read.follows],
    )
    return Card(f"session {path.stem}", [*turn_rows(path), *lost_rows(lost, broken=broken)])


def session_row(path: Path) -> tuple[str, str]:
    """A session on one line: its name; time of its last entry, place, first prompt, size."""
    return path.stem, f"{session_file(path).words} ({path.lstat().st_size / 1024:,.0f} KiB)"


def turn_rows(path: Path) -> Rows:
    """One row for each turn: the prompt, how it ended, and whether it was taken back."""
    said: dict[int, str] = {}
    ended: dict[int, str] = {}
    back: set[int] = set()
    turn = 0
    for read in read_record(path):
        line = read.line
        if isinstance(line, TurnLine):
            turn = line.turn
            said[turn] = line.said.strip().partition("\n")[0][:80]
        elif isinstance(line, EndedLine):
            ended[turn] = _ending(line)
        elif isinstance(line, RewindLine):
            back |= {n for n in said if n >= line.turn}
    return [
        (str(n), f"{text}\n{ended.get(n, 'not ended')}{'; taken back' if n in back else ''}")
        for n, text in said.items()
    ]


def lost_rows(lost: Sequence[ReadLine], missing: int = 0, broken: Sequence[ReadLine] = ()) -> Rows:
    """Rows on a damaged record: lines that cannot be read, items that are gone.

    `broken`: lines that do not follow from those before them.
    """
    rows = [("lost", f"{lost_words(lost)}: not readable in the record")] if lost else []
    gone = [("missing", f"{count_of(missing, 'item')}, whose lines are no longer in the record")]
    forged = f"{lost_words(broken)}: a line there or just before was changed, removed or put in"
    return [*rows, *(gone if missing else []), *([("changed", forged)] if broken else [])]


def _ending(line: EndedLine) -> str:
    used = Usage.read(line.usage)
    samples = f"{count_of(line.samples, 'sample')}, {used.input:,} tokens in, {used.output:,} out"
    return f"{line.status}: {samples}" + (f"; {line.error}" if line.error else "")


COMMANDS = (
    Command("new", "— forget the conversation; the variables and the old record stay", new),
    Command(
        "resume", "[SESSION] — continue a session: the latest of this notebook, or by name", resume
    ),
    Command(
        "history",
        "[SESSION | all] — the turns of this session, of another, or all sessions",
        history,
        (
            ("", "the turns of this session"),
            ("SESSION", "the turns of another one, by its name or the start of it"),
            ("all", "all sessions"),
        ),
    ),
)
