"""`input()` and `getpass()` in a step: asked in the agent's name, or refused if nobody can answer.

Knows neither the code that asks nor its use of the answer.
"""

import builtins
import getpass
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from ...agent.printable import printable
from ...agent.protocol.cells import StreamOutput
from ..frontend import can_ask
from ..shell import Shell
from .interrupts import Interruption
from .step_outputs import StepOutputs
from .time_limit import TimeLimit

REPLACED = "[the code replaced input() or getpass(): input() is put back]\n"
ASKS = "The agent's code asks: "


class NobodyAnswersError(RuntimeError):
    """Raised in code that asks when nobody can answer."""

    def __init__(self) -> None:
        super().__init__("nobody can answer: this runs unattended")


class Waiting:
    """How a question is put to the person: while a step runs, outside of its outputs and time."""

    def __init__(self) -> None:
        self._of_step: tuple[StepOutputs, TimeLimit, Interruption] | None = None

    def put(self, ask: Callable[[str], str], text: str) -> str:
        """The answer that `ask` gets."""
        if self._of_step is None:
            return ask(text)
        outputs, limit, _ = self._of_step
        outputs.flush()
        with limit.paused():
            return outputs.aside(ask, text)

    def stop(self) -> None:
        """The person's answer stops the step, if one runs, also if its code goes on."""
        if self._of_step is not None:
            self._of_step[2].came = True

    @contextmanager
    def in_step(
        self, outputs: StepOutputs, limit: TimeLimit, interruption: Interruption
    ) -> Generator[None]:
        """Meanwhile questions are put within this step."""
        before, self._of_step = self._of_step, (outputs, limit, interruption)
        try:
            yield
        finally:
            self._of_step = before


@contextmanager
def answered(
    shell: Shell, outputs: StepOutputs, limit: TimeLimit, masked: Callable[[str], str]
) -> Generator[None]:
    """Meanwhile code asks through us. The step's time does not include the wait for an answer.

    `masked`: takes keys out of a question.
    """

    def asking(original: Callable[..., str]) -> Callable[..., str]:
        def ask(prompt: object = "", /, *more: Any, **named: Any) -> str:
            if not can_ask(shell):
                raise NobodyAnswersError
            outputs.flush()
            asked = printable(str(named.pop("prompt", prompt))).lstrip()  # it looks like ours else
            question = masked(f"{ASKS}{asked}")
            with limit.paused():
                return outputs.aside(original, question, *more, **named)

        return ask

    kept = builtins.input, getpass.getpass
    ours = builtins.input, getpass.getpass = asking(kept[0]), asking(kept[1])
    try:
        yield
    finally:
        if (builtins.input, getpass.getpass) != ours:
            outputs.add(StreamOutput(name="stderr", text=REPLACED))
        builtins.input, getpass.getpass = kept
