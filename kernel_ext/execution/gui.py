"""Holds a GUI's event loop, as of `%gui qt`, while a cell of ours waits. Knows no turn.

Since ipykernel 7 the GUI's loop runs while a cell awaits, and then no other code does: neither an
answer of the server nor an interrupt arrives. Before, it ran only between cells.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from ..shell import Shell

HELD = "Windows of `%gui` stand still until the turn ends."
_ENDED = 0.002
"""Seconds in which the GUI's loop ends. The kernel looks every millisecond whether it is wanted."""


@asynccontextmanager
async def gui_held(shell: Shell) -> AsyncGenerator[tuple[str, ...]]:
    """Meanwhile no GUI's loop runs. One that code asks for begins afterwards.

    Yields `HELD` if there is one already.
    """
    kernel: Any = getattr(shell, "kernel", None)
    if kernel is None or _runs_between_cells(kernel) or "enter_eventloop" in vars(kernel):
        yield ()  # there is none that could run, or it is held already
        return
    loop, kernel.eventloop = kernel.eventloop, None
    kernel.enter_eventloop = _stay
    try:
        if loop is not None:
            await asyncio.sleep(_ENDED)
        yield () if loop is None else (HELD,)
    finally:
        del kernel.enter_eventloop
        if kernel.eventloop is None:
            kernel.eventloop = loop  # if it is one, the kernel enters it
        else:
            kernel.enter_eventloop()


def _runs_between_cells(kernel: Any) -> bool:
    return hasattr(kernel, "schedule_dispatch")  # ipykernel 6


def _stay() -> None:
    return
