"""A turn that waits for an `await`, and the error of a cell that has none. Knows no agent."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any

from ...agent.errors import UsageError
from ..shell import Shell


class PendingTurn(Coroutine[Any, Any, None]):
    """The coroutine of a turn. The cell that made it fails if neither it nor a task awaits it."""

    def __init__(self, turn: Coroutine[Any, Any, None], shell: Shell) -> None:
        self._turn, self._shell = turn, shell
        self._begun = False
        shell.events.register("post_run_cell", self._after)

    def send(self, value: Any) -> Any:
        """Go on."""
        self._begun = True
        return self._turn.send(value)

    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> Any:
        """Raise an exception where the turn waits."""
        self._begun = True
        return self._turn.throw(typ if val is None else val)

    def close(self) -> None:
        """End it."""
        self._turn.close()

    def __await__(self) -> Generator[Any, Any, None]:
        """Run the turn."""
        self._begun = True
        return self._turn.__await__()

    def __del__(self) -> None:
        """Leave no warning about a coroutine that was never awaited: the cell's error says it."""
        if not self._begun:
            self._turn.close()

    def __repr__(self) -> str:
        return "<a turn, to be awaited>"

    def _after(self, result: Any) -> None:
        self._shell.events.unregister("post_run_cell", self._after)
        if self._begun or self._has_task() or not result.success:
            return
        error = UsageError(
            "The turn has not run: nothing awaits it.",
            "Write `%%agent` on the first line of a cell, or `await` before the call.",
        )
        self._shell.showtraceback((UsageError, error, None))
        result.error_in_exec = error

    def _has_task(self) -> bool:
        try:
            tasks = asyncio.all_tasks()
        except RuntimeError:  # no loop runs
            return False
        return any(task.get_coro() is self for task in tasks)
