"""What the agent can do in one turn: the tools over this shell. Knows no loop and no view."""

from collections.abc import Callable
from typing import Any

from ..agent.cells import CellRun, DisplayOutput
from ..agent.events import Event, Notice, OutputCleared, OutputShown, OutputUpdated
from ..agent.lent import NAME, lend, stubs
from ..agent.session import Session, validity
from ..agent.tools import Tool
from ..agent.tools.output import output_tool
from ..agent.tools.recall import recall_tool
from ..agent.tools.run_cell import RunCell, run_cell_tool
from ..agent.validity import Validity
from ..widgets.outputs import can_show
from .execute import Host, Step, run_code
from .namespace import inspect_tool
from .place import user_names
from .step_outputs import Change, Clear, Take, Update

Show = Callable[[Event], object]


def tools_of_turn(
    host: Host, session: Session, show: Show, ran: Callable[[CellRun], object]
) -> tuple[Tool[Any], ...]:
    """The tools, in their order for good. `ran` is told of every step that has run."""
    settings, outputs = session.settings, session.outputs
    limit = settings.output_tokens

    def holds() -> Validity:
        return validity(session.conversation, outputs)

    lent = (
        inspect_tool(lambda: user_names(host.shell)),
        output_tool(outputs, limit, lambda head: holds().hides(head)),
        recall_tool(outputs, session.record, limit, holds),
    )

    async def run(call_id: str, asked: RunCell) -> CellRun:
        functions, end = lend(session, lent, call_id, show)
        seconds = asked.timeout or settings.step_timeout
        step = Step(
            code=asked.code,
            mark=f"agent, turn {session.conversation.turns}: {' '.join(asked.title.split())}",
            take=_taker(call_id, show),
            seconds=min(seconds, max(settings.step_timeout, settings.step_timeout_max)),
            report=lambda: show(Notice(text=_still_running(asked))),
            lent={NAME: functions},
        )
        try:
            run = await run_code(host, step)
        finally:
            end()
        ran(run)
        return run

    return (run_cell_tool(run, limit, outputs, stubs(lent)), *lent)


def _taker(call_id: str, show: Show) -> Take:
    def take(change: Change) -> bool:
        match change:
            case Clear():
                show(OutputCleared(call_id=call_id))
            case Update(output):
                if not can_show(output.data):
                    return False
                show(OutputUpdated(call_id=call_id, output=output))
            case DisplayOutput() if not can_show(change.data):
                return False
            case _:
                show(OutputShown(call_id=call_id, output=change))
        return True

    return take


def _still_running(step: RunCell) -> str:
    return (
        f"“{' '.join(step.title.split())}” was stopped at its time limit and still runs: it is in"
        " code that cannot be interrupted, or does not let itself be. The kernel is kept."
    )
