"""The type of a subcommand of `%agent`, and what they share. Knows none of them."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from IPython.display import clear_output

from ...agent.frozen import frozen
from ...widgets.panels.cards import Card, Rows, TextCard
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
    `ways`: each way to say it, where there are several, and what that does.
    """

    name: str
    usage: str
    run: Callable[[KernelAgent, str], AnyCard | Coroutine[Any, Any, AnyCard]]
    ways: Rows = ()

    @property
    def takes_words(self) -> bool:
        """Whether words may follow its name."""
        return not self.usage.startswith("—")


@asynccontextmanager
async def counted(doing: str) -> AsyncGenerator[None]:
    """Meanwhile a line below the cell counts the seconds."""
    counting = asyncio.create_task(_count(doing))
    try:
        yield
    finally:
        counting.cancel()
        await asyncio.wait({counting})
        clear_output(wait=True)  # the wait is over


async def _count(doing: str) -> None:
    began = time.monotonic()
    while True:
        seconds = time.monotonic() - began
        print(f"{doing} … {seconds:.0f} s. ■ or Ctrl-C ends it.", end="", flush=True)
        await asyncio.sleep(1)
        clear_output(wait=True)
