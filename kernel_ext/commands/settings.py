"""`%agent config`: the settings, and the origin of each."""

from ...agent.config.settings import Settings, nearest
from ...agent.errors import UsageError
from ...widgets.panels.cards import Card
from ..host import KernelAgent
from .command import Command


def config(agent: KernelAgent, rest: str) -> Card:
    """Show all settings or one of them. With a value, set it first."""
    key, _, value = rest.partition(" ")
    if value:
        agent.set(key, value.strip())
    chosen = agent.choose()
    if key and key not in Settings.model_fields:
        known = list(Settings.model_fields)
        raise UsageError(
            f"There is no setting {key!r}.{nearest(key, known)}", "`%agent config` lists them all."
        )
    rows = [
        (
            name,
            f"{getattr(chosen.settings, name)}  ({chosen.origins.get(name, 'default')}; {about})",
        )
        for name, field in Settings.model_fields.items()
        if (about := field.description or "") and key in ("", name)
    ]
    return Card("settings", [*rows, *(("refused", text) for text in chosen.refused)])


COMMANDS = (
    Command(
        "config",
        "[key [value]] — show the settings, one of them, or set one for this session",
        config,
    ),
)
