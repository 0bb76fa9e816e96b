"""The tools of the agent in one turn, over this shell. Knows no loop and no view."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ..agent.conversation.validity import validity
from ..agent.protocol.cells import CellRun
from ..agent.services import ServiceLoop, Services
from ..agent.session import Session
from ..agent.tools.files.folder_indexes import FolderIndexes
from ..agent.tools.files.tools import file_tools
from ..agent.tools.output import output_tool
from ..agent.tools.recall import recall_tool
from ..agent.tools.run_cell import RunCell, run_cell_tool
from ..agent.tools.tool import Tool, ToolCall, ToolOutput
from .environment import cache_folder, working_folder
from .execution.run_code import Host
from .mcp.exposure import listed_rows
from .mcp.session_servers import ServerTools
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
    host: Host,
    session: Session,
    here: CurrentNotebook,
    hooks: StepHooks,
    services: Services,
    servers: ServerTools | None = None,
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
        *file_tools(working_folder, partial(services.get, FolderIndexes, _folder_indexes)),
    )
    python, callable_tools = partial(cell_as_python, host.shell), [tool.name for tool in lent]
    if servers is not None:
        hooks = replace(hooks, after=_both(hooks.after, servers.functions.note_step))
    runner = StepRunner(
        *(host, session, hooks, lambda: (*lent, *(servers.for_code() if servers else ()))),
        lambda: servers.functions.for_code(hooks.within) if servers else (),
    )
    run_cell = run_cell_tool(runner.run_lending, limit, outputs, callable_tools, python)
    notebook_run = notebook_run_tool(here, runner.run, limit, outputs, python)
    ending = (_ended(run_cell, hooks), _ended(notebook_run, hooks))
    if servers is None:
        return (*ending, *lent)

    async def run_step(call: ToolCall, asked: RunCell, names: Mapping[str, object]) -> ToolOutput:
        step = run_cell_tool(partial(runner.run, names=names), limit, outputs)
        return await step.run(call, asked)

    functions = servers.functions.listed(listed_rows(session), run_step)
    return (*ending, *lent, *servers.listed, *(_ended(it, hooks) for it in functions))


def _folder_indexes(_loop: ServiceLoop) -> FolderIndexes:
    return FolderIndexes(cache_folder())


def _both(*functions: Callable[[CellRun], object]) -> Callable[[CellRun], object]:
    return lambda run: [function(run) for function in functions]


def _ended(tool: Tool[Any], hooks: StepHooks) -> Tool[Any]:
    """The tool, whose output ends the turn if the host says so after a step."""
    run = tool.run

    async def run_to_end(call: ToolCall, arguments: Any) -> ToolOutput:
        output = await run(call, arguments)
        return replace(output, ends=hooks.ends() or output.ends)

    return replace(tool, run=run_to_end)
