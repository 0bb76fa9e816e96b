"""Lets ■ and Ctrl-C wait while our own code runs around a cell. Knows no log.

IPython catches a KeyboardInterrupt that is raised in a callback of a cell, and runs the cell.
"""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from ..shell import Shell


@contextmanager
def interrupt_waits() -> Generator[None]:
    """SIGINT has its effect at the end. A second one has it at once, as our code may hang."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    waiting: list[FrameType | None] = []

    def note(signum: int, frame: FrameType | None) -> None:
        if not waiting:
            waiting.append(frame)
        else:
            waiting.clear()
            before(signum, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if waiting:
            before(signal.SIGINT, waiting[0])


def stop_cell(shell: Shell) -> None:
    """Stop the cell that begins, from a callback before it. Its last step is no callback."""
    stop = _Stop()

    def over(_result: object) -> None:
        shell.events.unregister("post_run_cell", over)
        shell.ast_transformers.remove(stop)

    shell.events.register("post_run_cell", over)
    shell.ast_transformers.insert(0, stop)


class _Stop:
    """Takes the place of the last step before a cell runs, which may rewrite its code."""

    def visit(self, _code: object) -> object:
        raise KeyboardInterrupt
