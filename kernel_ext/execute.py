"""Runs code in the live namespace as a cell does, on this thread. Knows no agent and no view."""

import asyncio
import sys
import time
from typing import Literal

from ..agent.cells import CellRun
from .interrupt import Interruption, raised_by_sigint, raised_by_sigint_in
from .shell import Result, Shell
from .taps import Outputs, Take, tapped

_MISSING = object()


async def run_code(shell: Shell, code: str, take: Take, interruption: Interruption) -> CellRun:
    """Run `code` on this thread. Its errors are outputs; SIGINT ends it with `interrupted`.

    `_`, `Out` and the execution count stay the user's. Code with a top-level `await` runs in the
    current task, whose cancellation it then shares.
    """
    before = dict(shell.user_ns)
    started = time.monotonic()
    outputs = Outputs(take)
    with tapped(shell, outputs):
        error = await _run(shell, code, interruption)
    names = shell.user_ns
    bound = [n for n, v in names.items() if before.get(n, _MISSING) is not v and _is_users(n)]
    return CellRun(
        source=code,
        status=_status(error),
        outputs=outputs.all(),
        bound=tuple(sorted(bound)),
        deleted=tuple(sorted(n for n in before if n not in names and _is_users(n))),
        seconds=time.monotonic() - started,
    )


async def _run(shell: Shell, code: str, interruption: Interruption) -> BaseException | None:
    """Run it the way the kernel runs cells; the exception that ended it, if any."""
    try:
        cell, failure = shell.transform_cell(code), None
    except Exception:  # told to the model by run_cell itself, as a syntax error is
        cell, failure = code, sys.exc_info()
    if not shell.should_run_async(code, transformed_cell=cell, preprocessing_exc_tuple=failure):
        try:
            with raised_by_sigint(interruption):
                result = shell.run_cell(code)
        except KeyboardInterrupt as interrupt:  # it came just outside the code itself
            return interrupt
        return _error(result)
    with raised_by_sigint_in(shell.user_ns):
        result = await shell.run_cell_async(
            code, transformed_cell=cell, preprocessing_exc_tuple=failure
        )
    # run_cell_async leaves these to its caller; without them figures are not shown
    shell.events.trigger("post_execute")
    shell.events.trigger("post_run_cell", result)
    return _error(result)


def _error(result: Result) -> BaseException | None:
    return result.error_before_exec or result.error_in_exec


def _status(error: BaseException | None) -> Literal["ok", "error", "interrupted"]:
    if error is None:
        return "ok"
    interrupts = KeyboardInterrupt | asyncio.CancelledError
    return "interrupted" if isinstance(error, interrupts) else "error"


def _is_users(name: str) -> bool:
    return not name.startswith("_")
