"""Finds the subcommand that an `%agent` line names, runs it, and shows its card."""

from collections.abc import Coroutine
from typing import Any, cast

import IPython.display

from ...agent.config.settings import nearest
from ...agent.errors import LineInterrupted, UsageError
from ...widgets.panels.cards import Card
from ..execution.interrupts import Interruption, cancelled_by_sigint, raised_by_sigint
from ..host import KernelAgent
from ..input_transform import cannot_wait
from ..shell import loop_runs, run_to_end
from . import demo, model, notebook, permissions, sessions, settings, status, undo, window
from .command import AnyCard, Command, quoted
from .mcp import servers

_SHOWING = {
    **dict.fromkeys(("status", "help", "context", "why", "models"), 9),
    **dict.fromkeys(("policy", "rules", "model"), 0),
    "config": 1,
    "mcp": 0,
}
"""Subcommands that only show, with at most that many words. Code of a step may run no other."""
_TYPED_ONLY = ("policy", "rules", "secrets", "config", "model", "key", "mcp")
"""Subcommands that can loosen what the agent may do, or send it elsewhere."""


async def run_command(agent: KernelAgent, line: str) -> None:
    """Run the line's subcommand and show its card.

    Raises UsageError for an unknown one, LineInterrupted for SIGINT.
    """
    try:
        with raised_by_sigint(Interruption()):  # SIGINT would only cancel, once it waits
            given = _begin(agent, line)
    except KeyboardInterrupt:
        raise LineInterrupted from None
    if isinstance(given, Coroutine):
        with cancelled_by_sigint(LineInterrupted()):
            given = await given
    show_card(agent, given)


def run_unawaited(agent: KernelAgent, line: str, *, loading: bool = False) -> None:
    """The same from synchronous code. Raises UsageError if the subcommand has to wait.

    If no event loop runs, as in a terminal, it can wait. `loading`: the cell loads the extension.
    """
    if not loop_runs():
        run_to_end(run_command(agent, line))
        return
    given = _begin(agent, line)
    if isinstance(given, Coroutine):
        why = cannot_wait(f"`%agent {line.strip() or 'status'}`", agent.shell, loading=loading)
        given = _without_waiting(given, why)
    show_card(agent, given)


def show_card(agent: KernelAgent, card: AnyCard) -> None:
    """Display a card below the cell, without keys."""
    if card is not None:
        cast("Any", IPython.display).display(agent.mask.value(card.bundle()), raw=True)


def _begin(agent: KernelAgent, line: str) -> AnyCard | Coroutine[Any, Any, AnyCard]:
    name, _, rest = line.strip().partition(" ")
    name = name.rstrip("?") or "status"  # `%agent status?` means the same
    command = _named(name)
    words = rest.strip().rstrip("?").strip()
    if words and not command.takes_words:
        raise UsageError(f"`%agent {name}` takes no further words.", f"Say only `%agent {name}`.")
    if len(words.split()) > _SHOWING.get(name, -1):
        agent.approvals.refuse_code(f"%agent {name}")
        if name in _TYPED_ONLY:
            agent.approvals.refuse_untyped(f"{name} {words}")
    return command.run(agent, words)


def _named(name: str) -> Command:
    """The subcommand of that name. Raises UsageError."""
    for command in COMMANDS:
        if command.name == name:
            return command
    known = [it.name for it in COMMANDS]
    raise UsageError(
        f"%agent has no subcommand {quoted(name)}.{nearest(name, known)}",
        f"There are: {', '.join(known)}. To ask the agent something, use %%agent.",
    )


def _without_waiting(coming: Coroutine[Any, Any, AnyCard], why: UsageError) -> AnyCard:
    try:
        coming.send(None)
    except StopIteration as end:
        return end.value
    coming.close()
    raise why


def help_(_agent: KernelAgent, rest: str) -> Card:
    """The list of all subcommands, or one of them. Raises UsageError."""
    if rest:
        command = _named(rest.removeprefix("%agent").strip())
        name = f"%agent {command.name}"
        return Card(
            f"{name} {command.usage}",
            [(f"{name} {words}".rstrip(), what) for words, what in command.ways],
        )
    rows = [(f"%agent {command.name}", command.usage) for command in COMMANDS]
    say = ("%%agent", "[-m MODEL] [--new] [--policy POLICY] [--effort LEVEL] [prompt] …")
    return Card("$`name` in a prompt attaches a description of that variable.", [say, *rows])


COMMANDS = (
    *status.COMMANDS,
    *model.COMMANDS,
    *window.COMMANDS,
    *undo.COMMANDS,
    *permissions.COMMANDS,
    *servers.COMMANDS,
    *sessions.COMMANDS,
    *settings.COMMANDS,
    Command("help", "[NAME] — this list, or a subcommand of it", help_),
    *demo.COMMANDS,
    *notebook.COMMANDS,
)
