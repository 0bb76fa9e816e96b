"""`%agent key`: a key goes into the system's keyring."""

import getpass

from ...agent.errors import UsageError
from ...agent.providers.keys import keep_in_keyring
from ...agent.providers.resolve import chosen_name
from ...widgets.panels.cards import Card
from ..frontend import can_ask
from ..host import KernelAgent
from .command import Command


def key(agent: KernelAgent, rest: str) -> Card:
    """Ask for it, and keep it."""
    if not can_ask(agent.shell):
        raise UsageError("Nobody can be asked for a key here.", "Use a variable or a command.")
    provider = rest or chosen_name(agent.choose().settings)
    keep_in_keyring(provider, getpass.getpass(f"Key for {provider} (empty: remove): ").strip())
    agent.connections.forget_keys()
    return Card(f"The keyring is changed. The next turn with {provider} uses it.")


COMMANDS = (
    Command(
        "key",
        "[PROVIDER] — keep a key in the system's keyring; it is asked for, never typed in a cell",
        key,
    ),
)
