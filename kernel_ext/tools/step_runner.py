"""Runs the code of a turn's calls in this kernel, and shows its outputs. Knows no tool."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field, replace
from functools import partial
from typing import Any

from ...agent.dispatch.from_code import lend
from ...agent.dispatch.trial_output import unlike_trial
from ...agent.errors import AgentError
from ...agent.frozen import frozen
from ...agent.protocol.cells import CellRun, DisplayOutput, StreamOutput
from ...agent.protocol.events import Notice, OutputCleared, OutputShown, OutputUpdated
from ...agent.protocol.trials import Deed
from ...agent.session import Session
from ...agent.tools.run_cell import RunCell
from ...agent.tools.tool import AGENT_TOOLS, Tool, ToolCall
from ...widgets.render.outputs import can_show
from ..execution.children import Child, Children, children_words
from ..execution.run_code import CodeStep, Host, run_code
from ..output_hooks import Change, Clear, Update
from ..sandbox.guard import as_ours, in_short

GOES_ON = (
    "Your interrupt was heard, and the code goes on. It may be saving its work. Interrupt again to"
    " end it now, else that comes by itself in five seconds."
)
STILL_RUNS = (
    "“{}” was stopped at its time limit and still runs: its code cannot be interrupted, or ignores"
    " the interrupt. The kernel is kept."
)


Watching = Callable[[ToolCall], AbstractContextManager[Sequence[Deed]]]
"""The guard over the code of a call. It gives what it has stopped."""


def unguarded(_call: ToolCall) -> AbstractContextManager[Sequence[Deed]]:
    """The `guard` of steps that may do anything."""
    return nullcontext(())


@frozen
class StepHooks:
    """The host's functions around a step: `before` gets its code, `after` gets the run.

    `guard` stops what the verdict of a call does not cover, and gives what it has stopped. `ends`:
    the error that ends the turn after a step, if there is one. `children` finds the processes that
    a step leaves behind. `changed`: sentences about what else a step has changed. `within`: the
    guard over the code of a call that code of a step makes.
    """

    before: Callable[[str], object]
    after: Callable[[CellRun], object]
    guard: Watching = unguarded
    ends: Callable[[], AgentError | None] = lambda: None
    children: Children = field(default_factory=Children)
    changed: Callable[[], Iterable[str]] = tuple
    within: Watching = unguarded


@frozen
class StepRunner:
    """Runs code for the tools of one turn.

    `lent`: the tools that code of `run_cell` may await. `functions`: those that are the person's
    code, and so not ours.
    """

    host: Host
    session: Session
    hooks: StepHooks
    lent: Callable[[], tuple[Tool[Any], ...]]
    functions: Callable[[], tuple[Tool[Any], ...]] = tuple

    async def run_lending(self, call: ToolCall, asked: RunCell) -> CellRun:
        """Run code that may await other tools."""
        ours = (replace(tool, run=as_ours(tool.run)) for tool in self.lent())
        with lend(self.session, (*ours, *self.functions()), call) as lent:
            return await self.run(call, asked, {AGENT_TOOLS: lent})

    async def run(
        self, call: ToolCall, asked: RunCell, names: Mapping[str, object] | None = None
    ) -> CellRun:
        """Run code. `names`: exist while it runs."""
        settings, title = self.session.settings, " ".join(asked.title.split())
        seconds = asked.timeout or settings.step_timeout
        step = CodeStep(
            code=asked.code,
            mark=f"agent, turn {self.session.conversation.turns}: {title}",
            take=partial(_take, call),
            seconds=min(seconds, max(settings.step_timeout, settings.step_timeout_max)),
            report=partial(call.show, Notice(text=STILL_RUNS.format(title))),
            heard=partial(call.show, Notice(text=GOES_ON)),
            lent=names,
        )
        before, after = self.hooks.before, self.hooks.after  # code cannot replace these any more
        children, changed = self.hooks.children, self.hooks.changed
        before(asked.code)
        began = children.now()
        with self.hooks.guard(call) as stopped:
            done = await run_code(self.host, step)
        left = children.since(began)
        lines = [*_of_guard(stopped), *_of_trial(call, done), *_left(left), *changed()]
        if lines:
            told = StreamOutput(name="stderr", text="".join(f"[{line}]\n" for line in lines))
            call.show(OutputShown(call_id=call.id, output=told))
            done = replace(done, outputs=(*done.outputs, told))
        after(done)
        return done


_NO_TOOLS = f"NameError: name '{AGENT_TOOLS}'"
"""The end of a trial at the first call of a tool, which a copy does not have."""


def _of_guard(stopped: Sequence[Deed]) -> Iterator[str]:
    """The refusals, for model and person. The code may have caught their errors."""
    return (f"not allowed, and stopped: {in_short(deed)}" for deed in stopped)


def _of_trial(call: ToolCall, done: CellRun) -> Iterator[str]:
    if call.trial is None or call.trial.error.startswith(_NO_TOOLS):
        return
    if words := unlike_trial(call.trial, done):
        yield f"not as in its trial run: {words}"


def _left(found: Sequence[Child]) -> Iterator[str]:
    if found:
        named = children_words(found)
        yield f"still running after this step: {named}. `%agent processes end` ends them"


def _take(call: ToolCall, change: Change) -> bool:
    """Show a change in the step. False if the view cannot show it."""
    match change:
        case Clear():
            call.show(OutputCleared(call_id=call.id))
        case Update(output):
            if not can_show(output.data):
                return False
            call.show(OutputUpdated(call_id=call.id, output=output))
        case DisplayOutput() if not can_show(change.data):
            text = f"↓ shown below: {change.data.get('text/plain', 'an interactive output')}"
            below = DisplayOutput(data={"text/plain": text})
            call.show(OutputShown(call_id=call.id, output=below))
            return False
        case _:
            call.show(OutputShown(call_id=call.id, output=change))
    return True
