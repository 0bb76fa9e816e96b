"""`%agent key`: puts a key into the system's keyring."""

import getpass

from ...agent.errors import UsageError
from ...agent.providers.catalog import PROVIDERS
from ...agent.providers.keys import keep_in_keyring
from ...agent.providers.resolve import chosen_name
from ...widgets.panels.cards import Card
from ..frontend import can_ask
from ..host import KernelAgent
from .command import Command, quoted


def key(agent: KernelAgent, rest: str) -> Card:
    """Ask for a key, and keep it."""
    if not can_ask(agent.shell):
        raise UsageError(
            "Nobody can type a key here.", "Set a variable or a command that gives the key."
        )
    chosen = chosen_name(agent.choose().settings)
    provider = rest or chosen
    if provider not in (chosen, *PROVIDERS):
        raise UsageError(
            f"There is no provider {quoted(provider)}.",
            f"There are: {', '.join(PROVIDERS)}. The key itself is asked for, not typed here.",
        )
    keep_in_keyring(provider, getpass.getpass(f"Key for {provider} (empty: remove): ").strip())
    agent.connections.forget_keys()
    return Card(f"The keyring is changed. The next turn with {provider} uses it.")


COMMANDS = (
    Command(
        "key",
        "[PROVIDER] — ask for a key and keep it in the system's keyring, never in a cell",
        key,
    ),
)
