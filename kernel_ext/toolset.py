"""The tools of the agent in one turn, over this shell. Knows no loop and no view."""

from functools import partial
from typing import Any

from ..agent.conversation.validity import validity
from ..agent.session import Session
from ..agent.tools.output import output_tool
from ..agent.tools.recall import recall_tool
from ..agent.tools.run_cell import run_cell_tool
from ..agent.tools.tool import Tool
from .execution.run_code import Host
from .notebook.current import CurrentNotebook
from .shell import cell_as_python
from .tools.inspect import inspect_tool
from .tools.lookup import looking_tools
from .tools.notebook_edit import notebook_edit_tool
from .tools.notebook_read import notebook_read_tool
from .tools.notebook_run import notebook_run_tool
from .tools.step_runner import StepHooks, StepRunner
from .user_names import user_names


def tools_of_turn(
    host: Host, session: Session, here: CurrentNotebook, hooks: StepHooks
) -> tuple[Tool[Any], ...]:
    """The tools of a turn. Their order never changes, for the prompt cache."""
    outputs, limit = session.outputs, session.settings.output_tokens
    names = partial(user_names, host.shell)
    holds = partial(validity, session.conversation, outputs.runs)
    lent = (
        inspect_tool(names),
        *looking_tools(names),
        notebook_read_tool(here, limit, outputs.keep),
        notebook_edit_tool(here),
        output_tool(outputs, limit, lambda head: holds().hides(head)),
        recall_tool(outputs, session.journal.record, limit, holds),
    )
    runner = StepRunner(host, session, hooks, lent)
    return (
        run_cell_tool(
            runner.run_lending,
            limit,
            outputs,
            [tool.name for tool in lent],
            partial(cell_as_python, host.shell),
        ),
        notebook_run_tool(here, runner.run, limit, outputs, partial(cell_as_python, host.shell)),
        *lent,
    )
