"""One subcommand of `%agent`: its name, its usage, and what it does. Knows none of them."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from ...widgets.panels.cards import Card, TextCard
from ...widgets.panels.context_card import ContextCard, RawCard
from ..host import KernelAgent

AnyCard = Card | TextCard | ContextCard | RawCard | None


@dataclass(frozen=True, slots=True)
class Command:
    """`run` gets the rest of the line. It gives a card, or a coroutine that does where it waits.

    The coroutine suspends first before it begins anything: there it ends where nobody awaits it.
    """

    name: str
    usage: str
    run: Callable[[KernelAgent, str], AnyCard | Coroutine[Any, Any, AnyCard]]
