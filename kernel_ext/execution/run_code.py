"""Runs code in the live namespace as a cell does, on this thread. Knows no agent and no view."""

import asyncio
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import field, replace
from typing import Literal

from ...agent.frozen import frozen
from ...agent.protocol.cells import CellRun
from ..shell import Result, Shell
from ..user_names import gone, is_public, rebound, user_names
from .capture import OutputCapture
from .held_calls import held
from .interrupts import Interruption, is_main_thread, raised_by_sigint, raised_by_sigint_in
from .shell_history import in_history
from .stdin import Waiting, answered
from .step_outputs import OutputSink, StepOutputs
from .time_limit import STOP_GRACE_SECONDS, PersonStops, TimeLimit


@frozen
class Host:
    """The shell, the capture and the interruption with which the steps of a turn run.

    `waiting`: puts questions, also while a step runs.
    """

    shell: Shell
    taps: OutputCapture
    interruption: Interruption
    waiting: Waiting = field(default_factory=Waiting)


@frozen
class CodeStep:
    """Code to run. `mark`: a comment above it in the shell's history.

    `take` receives its outputs. `seconds`: its time limit, after which it has `grace` seconds to
    end. If it does not end, `report` is called. `heard`: is called if it goes on for a second after
    an interrupt of the person. `lent`: names that exist while it runs.
    """

    code: str
    mark: str
    take: OutputSink
    seconds: float = 3600
    grace: float = STOP_GRACE_SECONDS
    report: Callable[[], object] = lambda: None
    heard: Callable[[], object] = lambda: None
    lent: Mapping[str, object] | None = None


async def run_code(host: Host, step: CodeStep) -> CellRun:
    """Run a step on this thread. Its errors are outputs. The person ends it as `interrupted`.

    It gets a number of its own in the shell's history, but `_` and `_i` stay the user's. Code that
    awaits and does not stop at the limit is left running.
    """
    shell = host.shell
    outputs = StepOutputs(step.take)
    names, lent = shell.user_ns, step.lent or {}
    before = names.copy()
    started = time.monotonic()
    # Its own: a handler that the code of one step puts in place says nothing of another one.
    host = replace(host, interruption=replace(host.interruption))
    with (
        _lent(names, lent),
        _lent(shell.user_ns_hidden, lent),
        in_history(shell, step.mark) as entry,
        host.taps.step(outputs),
        held(shell, outputs, host.taps.step_here),
    ):
        error, limit = await _run(host, step, outputs)
    changed = rebound(before, names)
    bound = {name: names[name] for name in changed}
    return CellRun(
        source=step.code,
        status=_status(error, limit, host.interruption),
        outputs=outputs.all(),
        bound=tuple(sorted(user_names(shell, bound))),
        deleted=tuple(sorted(filter(is_public, gone(before, names, changed)))),
        seconds=time.monotonic() - started,
        count=entry.count,
        limit=float(step.seconds) if limit.over else None,
        stuck=limit.gave_up,
    )


async def _run(
    host: Host, step: CodeStep, outputs: StepOutputs
) -> tuple[BaseException | None, TimeLimit]:
    """Run the code as the kernel runs cells. Returns the exception that ended it, if any."""
    shell, code = host.shell, step.code
    try:
        cell, failure = shell.transform_cell(code), None
    except Exception:  # run_cell itself shows it, as it shows a syntax error
        cell, failure = code, sys.exc_info()
    if not shell.should_run_async(code, transformed_cell=cell, preprocessing_exc_tuple=failure):
        # On another thread, it would hit the main thread's code.
        stop = host.interruption.stop if is_main_thread() else _nothing
        limit = _limit(host, step, stop, step.report)
        return _run_sync(host, code, outputs, limit), limit
    run = shell.run_cell_async(code, True, transformed_cell=cell, preprocessing_exc_tuple=failure)
    loop, given_up = asyncio.get_running_loop(), asyncio.Event()
    task = asyncio.Task(run, loop=loop)  # not one that the code makes: `held` leaves it alone

    def give_up() -> None:
        step.report()
        loop.call_soon_threadsafe(given_up.set)

    with ExitStack() as stack:
        raising = raised_by_sigint_in(shell.user_ns, host.interruption, task, host.taps.ticker)
        stop = stack.enter_context(raising)
        limit = _limit(host, step, stop, give_up)
        stack.enter_context(limit)
        stack.enter_context(answered(shell, outputs, limit, host.taps.mask.text))
        stack.enter_context(host.waiting.in_step(outputs, limit, host.interruption))
        await _over(task, given_up, host.interruption)
    if not task.done():
        return None, limit
    # run_cell_async leaves these to its caller. Without them figures are not shown.
    shell.events.trigger("post_execute")
    shell.events.trigger("post_run_cell", task.result())
    return _error(task.result()), limit


def _run_sync(
    host: Host, code: str, outputs: StepOutputs, limit: TimeLimit
) -> BaseException | None:
    shell = host.shell
    try:
        with (
            raised_by_sigint(host.interruption, host.taps.ticker),
            limit,
            answered(shell, outputs, limit, host.taps.mask.text),
            host.waiting.in_step(outputs, limit, host.interruption),
        ):
            return _error(shell.run_cell(code, store_history=True))
    except KeyboardInterrupt as interrupt:  # it came just before or after the code itself
        limit.end()
        return interrupt


def _limit(
    host: Host, step: CodeStep, stop: Callable[[], object], give_up: Callable[[], object]
) -> TimeLimit:
    def stopped() -> bool:
        return host.interruption.came

    person = PersonStops(stopped, step.heard)
    return TimeLimit(host.taps.ticker, step.seconds, stop, give_up, step.grace, person)


def _nothing() -> None:
    return


async def _over(
    task: "asyncio.Task[Result]", given_up: asyncio.Event, interruption: Interruption
) -> None:
    """Wait until the task is done or given up. A cancellation of this wait cancels the task."""
    giving_up = asyncio.ensure_future(given_up.wait())
    try:
        while not task.done() and not given_up.is_set():
            try:
                await asyncio.wait((task, giving_up), return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                interruption.came = True
                task.cancel()
    finally:
        giving_up.cancel()


@contextmanager
def _lent(namespace: dict[str, object], lent: Mapping[str, object]) -> Generator[None]:
    """Lend names to a namespace for a while. Other values of that name come back afterwards."""
    theirs = {name: namespace[name] for name in lent if name in namespace}
    namespace.update(lent)
    try:
        yield
    finally:
        for name, value in lent.items():
            if namespace.get(name) is value:
                del namespace[name]
                namespace.update({name: theirs[name]} if name in theirs else {})


def _error(result: Result) -> BaseException | None:
    return result.error_before_exec or result.error_in_exec


def _status(
    error: BaseException | None, limit: TimeLimit, interruption: Interruption
) -> Literal["ok", "error", "interrupted"]:
    """Whatever became of the person's interrupt, also where code or the shell caught it, it counts.

    Code may raise KeyboardInterrupt and CancelledError itself. Then they are its errors.
    """
    interrupts = isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
    if interruption.came or (interrupts and interruption.replaced and not limit.over):
        return "interrupted"
    return "error" if error is not None or limit.over else "ok"
