"""Calls of a step's code that would reach past the step. Knows no agent.

A call that would end the shell ends the step. A text for the next cell, or for a pager, is printed.
A task that would end the event loop, and the kernel with it, ends alone.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, cast

from .shell_history import in_place
from .step_outputs import StepOutputs

_Call = Callable[..., Any]


class StepExit(BaseException):  # as SystemExit, it passes `except Exception`
    """Ends the step of code that would end the shell."""

    def __init__(self) -> None:
        super().__init__("this step has ended, and the kernel runs on with its variables")

    def _render_traceback_(self) -> list[str]:
        """The line that a shell prints instead of our frames."""
        return [f"StepExit: {self}"]


@contextmanager
def held(shell: Any, outputs: StepOutputs, of_step: Callable[[], object]) -> Generator[None]:
    """Meanwhile a step's code cannot end the shell, fill the next cell, or open a pager.

    `of_step`: what it returns is not None where code of the step runs.
    """

    def instead(act: Callable[..., object]) -> Callable[[_Call], _Call]:
        def tap(original: _Call) -> _Call:
            def call(*args: Any, **named: Any) -> Any:
                ours = of_step() is not None  # else a front end calls, or a thread of the person's
                return act(*args, **named) if ours else original(*args, **named)

            return call

        return tap

    def say(text: Any, *_more: Any, **_named: Any) -> None:
        if isinstance(text, dict):
            text = cast("dict[str, Any]", text).get("text/plain", "")
        outputs.write("stdout", f"{text}\n")

    def pay(payload: Mapping[str, Any], *_more: Any, **_named: Any) -> None:
        say(payload.get("text") or payload.get("data") or payload)

    held_calls = [
        (shell, "ask_exit", _end),
        (getattr(shell, "kernel", None), "do_shutdown", _end),
        (shell, "set_next_input", say),
        (shell.hooks, "show_in_pager", say),
        (shell.payload_manager, "write_payload", pay),
    ]
    with ExitStack() as stack:
        stack.enter_context(_tasks_held(of_step))
        for owner, name, act in held_calls:
            if hasattr(owner, name):
                stack.enter_context(in_place(owner, name, instead(act)))
        yield


@contextmanager
def _tasks_held(of_step: Callable[[], object]) -> Generator[None]:
    """Tasks that code of the step makes meanwhile leave the event loop running."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # a thread without one
        yield
        return
    before: _Call | None = loop.get_task_factory()

    def make(loop: asyncio.AbstractEventLoop, coro: Any, **named: Any) -> "asyncio.Task[Any]":
        coro = _Held(coro) if of_step() is not None else coro
        return before(loop, coro, **named) if before else asyncio.Task(coro, loop=loop, **named)

    loop.set_task_factory(cast("Any", make))
    try:
        yield
    finally:
        if loop.get_task_factory() is make:
            loop.set_task_factory(before)


class _Held(Coroutine[Any, Any, Any]):
    """A coroutine that ends with StepExit where it would end the event loop."""

    def __init__(self, coro: Coroutine[Any, Any, Any]) -> None:
        self._coro = coro

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coro, name)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coro.__await__()

    def send(self, value: Any) -> Any:
        """Go on with the coroutine."""
        try:
            return self._coro.send(value)
        except (SystemExit, KeyboardInterrupt) as error:
            raise StepExit from error

    def throw(self, *error: Any) -> Any:
        """Go on with the coroutine, where it waits, with an error."""
        try:
            return self._coro.throw(*error)
        except (SystemExit, KeyboardInterrupt) as ended:
            raise StepExit from ended

    def close(self) -> None:
        """End the coroutine."""
        self._coro.close()


def _end(*_args: Any, **_named: Any) -> None:
    raise StepExit
