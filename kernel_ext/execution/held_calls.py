"""Calls of a step's code that would reach past the step. Knows no agent.

A call that would end the shell ends the step.
"""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from ..shell import Shell
from .capture import OutputCapture
from .shell_history import in_place


class StepExit(BaseException):  # as SystemExit, it passes `except Exception`
    """Ends the step of code that would end the shell."""

    def __init__(self) -> None:
        super().__init__("this step has ended, and the kernel runs on with its variables")

    def _render_traceback_(self) -> list[str]:
        """The line that a shell prints instead of our frames."""
        return [f"StepExit: {self}"]


@contextmanager
def held(shell: Shell, taps: OutputCapture) -> Generator[None]:
    """Meanwhile a step's code cannot end the shell."""

    def ends_the_step(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            if taps.step_here() is None:  # a front end asks, or a thread of the person's
                return original(*args, **named)
            raise StepExit

        return call

    kernel = getattr(shell, "kernel", None)
    with ExitStack() as stack:
        stack.enter_context(in_place(shell, "ask_exit", ends_the_step))
        if kernel is not None:
            stack.enter_context(in_place(kernel, "do_shutdown", ends_the_step))
        yield
