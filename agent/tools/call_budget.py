"""How many calls a response and the code of its steps may still make. Counts; knows no tool."""

from dataclasses import dataclass, field

from ..protocol.events import Usage

NO_STEPS = "Not run: the budget of steps is used up."
_NO_CALLS = "Not run: code of one response may make {} calls, and this is one more."


@dataclass(slots=True)
class CallBudget:
    """The budget of one response. None: any number.

    `steps_left`: calls that may change something, those of code among them. `from_code`: most calls
    of code. `called`: so many it made. `steps` of them changed something, and their outputs have
    `sent` characters. `usage`: tokens of the model that calls have asked.
    """

    steps_left: int | None = None
    from_code: int | None = None
    called: int = 0
    steps: int = 0
    sent: int = 0
    usage: Usage = field(default_factory=Usage)

    def takes_step(self) -> bool:
        """Whether there is room for a call that changes something. Counts it."""
        if self.steps_left is None:
            return True
        self.steps_left -= 1
        return self.steps_left >= 0

    def refusal(self) -> str:
        """Why code may make no further call, or nothing. Counts the call."""
        if self.from_code is not None and self.called >= self.from_code:
            return _NO_CALLS.format(self.from_code)
        self.called += 1
        return ""

    def step_refusal(self) -> str:
        """Why a call of code may change nothing any more, or nothing. Counts the step."""
        if not self.takes_step():
            return NO_STEPS
        self.steps += 1
        return ""
