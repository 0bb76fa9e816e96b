"""`%agent undo`: brings the variables back as they were before the last turn."""

from IPython.display import clear_output

from ...agent.compaction.marks import forget_names
from ...agent.errors import UsageError
from ...widgets.panels.cards import Card
from ..host import KernelAgent
from .command import Command


def undo(agent: KernelAgent, rest: str) -> Card:
    """Bring the variables back, and show what changed."""
    agent.refuse_while_running()
    if rest not in ("", "--all"):
        raise UsageError(f"%agent undo has no option {rest!r}.", "You can use --all.")
    turn, limits = agent.undo.turn, agent.undo.limits
    mentioned = set(filter(agent.undo.mentions, agent.shell.user_ns))
    asked = agent.shell, agent.runs(), rest == "--all"
    agent.undo.check(*asked)
    print("Finding what the turn changed …", end="", flush=True)
    done = agent.undo.undo(*asked)
    clear_output(wait=True)
    failed = {name: why for name, why in done.failed.items() if name in mentioned}
    inside = done.changed_in_place
    if agent.overview.items:
        names = (*done.back, *done.removed, *(it.name for it in inside))
        forget_names(agent.session_now(), names)
    changed = [it.name if it.same else f"{it.name} (as a new object)" for it in inside]
    rows = (
        ("bound again", ", ".join(done.back)),
        ("changed in place", ", ".join(changed)),
        ("removed", ", ".join(done.removed)),
        ("not brought back", "; ".join(f"{name}: {why}" for name, why in failed.items())),
        ("cannot be read", ", ".join(name for name in done.failed if name not in failed)),
        ("note", limits),
    )
    told = [(name, value) for name, value in rows if value]
    if not told:
        return Card(f"Turn {turn} had changed none of your variables.")
    return Card(
        f"Your variables are as they were before turn {turn}."
        " Files and the notebook's cells stay as they are."
        " `%agent rewind` takes the conversation back, too.",
        told,
    )


COMMANDS = (
    Command(
        "undo",
        "[--all] — bring your variables back as they were before the last turn that ran code",
        undo,
        (
            ("", "the variables as they were before the last turn that ran code"),
            ("--all", "the same, and also without your own changes since"),
        ),
    ),
)
