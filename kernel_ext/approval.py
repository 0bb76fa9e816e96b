"""Asks the user through `input()` whether a step may run. Denies it where nobody can answer."""

from ..agent.errors import TurnInterrupted
from ..agent.protocol.actions import Action, Verdict
from ..agent.seams import Approve
from .execution.interrupts import Interruption, raised_by_sigint
from .frontend import can_ask
from .shell import Shell

QUESTION = "Run this step? [y]es, [n]o, [a]ll of this turn, [s]top, or what to do instead: "


def ask_person(shell: Shell, interruption: Interruption) -> Approve:
    """The `approve` seam of one turn. The answer "all" holds until the turn ends."""
    all_of_this_turn = False

    async def approve(_action: Action, _verdict: Verdict) -> Verdict:
        nonlocal all_of_this_turn
        if all_of_this_turn:
            return Verdict(decision="allow", reason="allowed for this turn", by="user")
        if not can_ask(shell):
            return Verdict(decision="deny", reason="nobody is there to be asked", by="nobody")
        answer = _read_answer(interruption)
        all_of_this_turn = answer in ("a", "all")
        return _decide(answer)

    return approve


async def nobody(_action: Action, _verdict: Verdict) -> Verdict:
    """The `approve` seam while no turn runs."""
    return Verdict(decision="deny", reason="no turn runs", by="nobody")


def _read_answer(interruption: Interruption) -> str:
    try:
        with raised_by_sigint(interruption):
            return input(QUESTION).strip()
    except (KeyboardInterrupt, EOFError):
        return "stop"


def _decide(answer: str) -> Verdict:
    match answer.lower():
        case "y" | "yes":
            return Verdict(decision="allow", reason="allowed by the person", by="user")
        case "a" | "all":
            return Verdict(decision="allow", reason="allowed for this turn", by="user")
        case "s" | "stop":
            raise TurnInterrupted("You stopped the turn.")
        case "" | "n" | "no":
            return Verdict(decision="deny", reason="the person said no", by="user")
        case _:
            return Verdict(decision="deny", reason=f"the person said: {answer}", by="user")
