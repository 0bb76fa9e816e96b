"""`%agent model`, `models` and `key`: the model of the next turn, the server's models, its key."""

import asyncio
import os
from pathlib import Path
from typing import Any

from ...agent.config.settings import SCRIPTED, shown_address
from ...agent.errors import AgentError, SettingsError, UsageError
from ...agent.providers.catalog import API_NAMES, PROVIDERS, Capabilities, provider_named
from ...agent.providers.keys import IN_KERNEL, keep_in_keyring, require_keyring
from ...agent.providers.resolve import Target, chosen_name
from ...agent.transport.http import list_models
from ...widgets.panels.cards import Card
from ..approval.person import ForgedInputError
from ..environment import working_folder
from ..frontend import can_ask
from ..host import KernelAgent
from .command import Command, quoted
from .settings import DEFAULT

_ANY = "any"
"""A model's name where none is asked."""


async def model(agent: KernelAgent, rest: str) -> Card:
    """Show the model. With a name, choose that one first. `default` takes a typed one back."""
    if rest == DEFAULT:
        await asyncio.sleep(0)
        agent.unset("model")
    name = _named(rest) if rest != DEFAULT else ""
    more = {"model": name} if name else {}
    found = await agent.connections.found(agent.choose(more, "`%agent model`").settings)
    if name and isinstance(found, SettingsError):
        raise found  # the model of before stays
    if name:  # only now, so that nothing is set where it cannot wait
        agent.set("model", name)
    rows = [("model", model_row(found))]
    if isinstance(found, Target):
        rows.append(("server speaks", API_NAMES[found.traits.dialect]))
        rows.append(("server can", _traits_row(found.traits)))
    return Card("The model of the next turn:", rows)


def _named(rest: str) -> str:
    """The typed name, without quotes. A script's path is taken from the present folder."""
    name = rest[1:-1] if rest[:1] in ("'", '"') and rest[-1:] == rest[:1] else rest
    if not name.startswith(SCRIPTED):
        return name
    return f"{SCRIPTED}{working_folder() / Path(name.removeprefix(SCRIPTED)).expanduser()}"


async def models(agent: KernelAgent, rest: str) -> Card:
    """Ask the server for its models, or the provider of that name."""
    settings = agent.choose(_of_provider(rest) if rest else {}, "`%agent models`").settings
    await asyncio.sleep(0)
    target = await agent.connections.find(settings)
    listed = sorted(await list_models(target, settings.connect_timeout))
    rows = [("→" if name == target.model else "", name) for name in listed]
    return Card(f"{target.server} lists {len(rows)}. `%agent model NAME` chooses one.", rows)


def _of_provider(name: str) -> dict[str, Any]:
    """Settings for a provider, whatever is set for another. Raises SettingsError."""
    return {"model": f"{provider_named(name).name}:{_ANY}"}


def model_row(found: Target | AgentError) -> str:
    """The model and its server on one line, or the reason why there is none."""
    if isinstance(found, AgentError):
        return str(found)
    if found.scripted:
        return f"{found.model} · scripted model: its words come from a script file"
    return f"{found.model} at {found.provider} ({shown_address(found.base_url)})"


def _traits_row(traits: Capabilities) -> str:
    known = (
        ("WebSocket", traits.websocket),
        ("store responses", traits.stores),
        ("compact", traits.compact),
        ("search for tools", traits.tool_search),
        ("encrypted reasoning", traits.encrypted),
    )
    can = [name for name, does in known if does]
    return ", ".join([*can, *traits.hosted]) or "only what its API requires"


def key(agent: KernelAgent, rest: str) -> Card:
    """Ask for a key, and keep it."""
    chosen = chosen_name(agent.choose().settings)
    provider = rest or chosen
    if provider not in (chosen, *PROVIDERS):
        agent.connections.keep_secret(rest)
        raise UsageError(
            f"There is no provider {quoted(provider)}.",
            f"There are: {', '.join(PROVIDERS)}. The key itself is asked for, not typed here.",
        )
    if not can_ask(agent.shell):
        raise UsageError("Nobody can type a key here.", f"For this kernel alone: {IN_KERNEL}.")
    require_keyring()
    try:
        given = agent.approvals.person.ask_secretly(f"Key for {provider} (empty: remove): ")
    except ForgedInputError:
        raise UsageError(
            "Code has replaced the function that would ask you.", "Restart the kernel first."
        ) from None
    keep_in_keyring(provider, given.strip())
    agent.connections.forget_keys()
    variable = PROVIDERS[provider].key_env if provider in PROVIDERS else None
    if variable and os.environ.get(variable):
        return Card(f"The keyring is changed. {variable} is set, too, and goes first.")
    return Card(f"The keyring is changed. The next turn with {provider} uses it.")


COMMANDS = (
    Command(
        "model",
        "[NAME] — show or choose the model: a name, provider:name, scripted:FILE, or default",
        model,
    ),
    Command("models", "[PROVIDER] — the models that the server lists, or another provider", models),
    Command(
        "key",
        "[PROVIDER] — ask for a key and keep it in the system's keyring, never in a cell",
        key,
    ),
)
