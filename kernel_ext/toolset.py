"""What the agent can do in one turn: the tools over this shell. Knows no loop and no view."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..agent.conversation.validity import Validity
from ..agent.dispatch.from_code import AGENT_TOOLS, lend, stubs
from ..agent.protocol.cells import CellRun, DisplayOutput
from ..agent.protocol.events import Event, Notice, OutputCleared, OutputShown, OutputUpdated
from ..agent.session import Session, validity
from ..agent.tools.output import output_tool
from ..agent.tools.recall import recall_tool
from ..agent.tools.run_cell import RunCell, run_cell_tool
from ..agent.tools.tool import Tool
from ..widgets.render.outputs import can_show
from .environment import user_names
from .execution.run_code import CodeStep, Host, run_code
from .execution.step_outputs import OutputSink
from .notebook.current import CurrentNotebook
from .output_hooks import Change, Clear, Update
from .tools.inspect import inspect_tool
from .tools.lookup import looking_tools
from .tools.notebook_edit import notebook_edit_tool
from .tools.notebook_read import notebook_read_tool
from .tools.notebook_run import notebook_run_tool

Show = Callable[[Event], object]

STILL_RUNS = (
    "“{}” was stopped at its time limit and still runs: it is in code that cannot be interrupted,"
    " or does not let itself be. The kernel is kept."
)


@dataclass(frozen=True, slots=True)
class StepHooks:
    """What the host does before each step, which it is given, and with each that has run."""

    before: Callable[[str], object]
    after: Callable[[CellRun], object]


def tools_of_turn(
    host: Host, session: Session, here: CurrentNotebook, show: Show, around: StepHooks
) -> tuple[Tool[Any], ...]:
    """The tools, in their order for good."""
    settings, outputs = session.settings, session.outputs
    limit = settings.output_tokens

    def holds() -> Validity:
        return validity(session.conversation, outputs)

    async def run(
        call_id: str, asked: RunCell, shown: bool, lent: Mapping[str, object] | None = None
    ) -> CellRun:
        title = " ".join(asked.title.split())
        seconds = asked.timeout or settings.step_timeout
        step = CodeStep(
            code=asked.code,
            mark=f"agent, turn {session.conversation.turns}: {title}",
            take=_taker(call_id, show if shown else _unshown),
            seconds=min(seconds, max(settings.step_timeout, settings.step_timeout_max)),
            report=lambda: show(Notice(text=STILL_RUNS.format(title))),
            lent=lent,
        )
        around.before(asked.code)
        done = await run_code(host, step)
        around.after(done)
        return done

    async def run_lending(call_id: str, asked: RunCell) -> CellRun:
        functions, end = lend(session, lent, call_id, show)
        try:
            return await run(call_id, asked, True, {AGENT_TOOLS: functions})
        finally:
            end()

    def show_run(call_id: str, run: CellRun) -> None:
        for output in run.outputs:
            show(OutputShown(call_id=call_id, output=output))

    def names() -> Mapping[str, object]:
        return user_names(host.shell)

    lent = (
        inspect_tool(names),
        *looking_tools(names),
        notebook_read_tool(here, limit, outputs.keep),
        notebook_edit_tool(here),
        output_tool(outputs, limit, lambda head: holds().hides(head)),
        recall_tool(outputs, session.record, limit, holds),
    )
    return (
        run_cell_tool(run_lending, limit, outputs, stubs(lent)),
        notebook_run_tool(here, run, show_run, limit, outputs),
        *lent,
    )


def _unshown(_event: Event) -> None:
    return


def _taker(call_id: str, show: Show) -> OutputSink:
    def take(change: Change) -> bool:
        match change:
            case Clear():
                show(OutputCleared(call_id=call_id))
            case Update(output):
                if not can_show(output.data):
                    return False
                show(OutputUpdated(call_id=call_id, output=output))
            case DisplayOutput() if not can_show(change.data):
                text = f"↓ shown below: {change.data.get('text/plain', 'an interactive output')}"
                below = DisplayOutput(data={"text/plain": text})
                show(OutputShown(call_id=call_id, output=below))
                return False
            case _:
                show(OutputShown(call_id=call_id, output=change))
        return True

    return take
