"""The type of a subcommand of `%agent`. Knows none of them."""

import re
from collections.abc import Callable, Coroutine
from typing import Any

from ...agent.frozen import frozen
from ...widgets.panels.cards import Card, TextCard
from ...widgets.panels.context_card import ContextCard, RawCard
from ..host import KernelAgent

AnyCard = Card | TextCard | ContextCard | RawCard | None


def quoted(word: str) -> str:
    """An unknown word in quotes. One that may be a key is not shown."""
    return repr(word) if re.fullmatch(r"[A-Za-z_]{1,30}", word) else "of that name"


@frozen
class Command:
    """`run` gets the rest of the line. It returns a card, or a coroutine of one if it has to wait.

    The coroutine awaits something before its first effect. A caller that cannot wait closes it
    there, and nothing has happened. `usage`: the words that it takes, a dash, and what it does.
    """

    name: str
    usage: str
    run: Callable[[KernelAgent, str], AnyCard | Coroutine[Any, Any, AnyCard]]

    @property
    def takes_words(self) -> bool:
        """Whether words may follow its name."""
        return not self.usage.startswith("—")
