"""`%agent config`: the settings, and the origin of each."""

import re
from typing import cast

from ...agent.config.settings import Settings, nearest, shown_address
from ...agent.errors import SettingsError, UsageError
from ...agent.providers import resolve
from ...agent.text.secret_names import is_secret
from ...widgets.panels.cards import Card
from ..host import KernelAgent
from .command import Command, quoted

DEFAULT = "default"
"""Typed as a value, it takes back the one that was typed."""
_NAMES_A_SERVER = ("model", "provider", "base_url")


def config(agent: KernelAgent, rest: str) -> Card:
    """Show all settings or one of them. With a value, set it first."""
    key, *value = re.split(r"\s*[=\s]\s*", rest, maxsplit=1)
    if key not in ("", *Settings.model_fields):
        if value and is_secret(key):
            agent.connections.keep_secret(value[0])
            raise UsageError(
                "A key is no setting: the cell would keep it. Delete it there.",
                "`%agent key` asks for it and keeps it in the system's keyring.",
            )
        near = nearest(key, list(Settings.model_fields))
        raise UsageError(
            f"There is no setting {quoted(key)}.{near}", "`%agent config` lists them all."
        )
    if value == [DEFAULT]:
        agent.unset(key)
    elif value:
        _set(agent, key, value[0])
    chosen = agent.choose()
    rows = [
        (
            name,
            f"{shown_address(_in_words(getattr(chosen.settings, name)))}"
            f"  ({chosen.origins.get(name, 'default')}; {about})",
        )
        for name, field in Settings.model_fields.items()
        if (about := field.description or "") and key in ("", name)
    ]
    return Card("settings", [*rows, *(("refused", text) for text in chosen.refused)])


def _set(agent: KernelAgent, key: str, value: str) -> None:
    """Set one. Raises SettingsError before it is set."""
    try:
        if key in _NAMES_A_SERVER:
            resolve.chosen(agent.choose({key: value}, f"`%agent config {key}`").settings)
        agent.set(key, value)
    except SettingsError:
        if is_secret(key.removesuffix("_env")):  # it may be the key itself
            agent.connections.keep_secret(value)
        raise


def _in_words(value: object) -> str:
    """A value as a person types it."""
    match value:
        case None | ():
            return "not set"
        case bool():
            return str(value).lower()
        case tuple():
            return ", ".join(map(str, cast("tuple[object, ...]", value)))
        case _:
            return str(value)


COMMANDS = (
    Command(
        "config",
        "[KEY [VALUE]] — show the settings, one of them, or set one for this session",
        config,
        (
            ("", "all settings, with their origin"),
            ("KEY", "one of them"),
            ("KEY VALUE", "another value, for this session"),
            ("KEY default", "take a value back that you typed"),
        ),
    ),
)
