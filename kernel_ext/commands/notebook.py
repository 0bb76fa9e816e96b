"""`%agent keep`, `fix`, `explain`: subcommands that work on the notebook. They are awaited."""

import asyncio
from collections.abc import Sequence

from ...agent.conversation.references import CountReference, Reference, no_cell, parse_reference
from ...agent.conversation.runs import turns_named
from ...agent.conversation.validity import validity
from ...agent.errors import UsageError
from ...agent.protocol.observed import UserCellRun
from ...agent.text.lines import count_of
from ...widgets.panels.cards import Card
from ..environment import find_notebook
from ..host import KernelAgent
from ..notebook.current import current_notebook, one_cell
from ..notebook.document import DocumentError, NewCell
from ..notebook.outputs import as_nbformat
from .command import Command
from .last_turn import PastStep, PastTurn, last_turn
from .sessions import lost_rows

FIX = (
    "My last cell that failed is {cell}: {error}. Find the cause and say in a sentence or two what"
    " it is. Then repair it: make the change, run it, and check that it works. If the notebook can"
    " be edited, put the repaired source into that cell."
)
EXPLAIN = (
    "Explain {cell} of this notebook: what it does, what it needs, what it leaves behind, and what"
    " may go wrong in it. Look at the variables it uses. Change nothing.\n\n"
    "```python\n{source}\n```"
)


async def keep(agent: KernelAgent, rest: str) -> Card:
    """Insert the last turn's cells, or put its code into a new cell."""
    session = agent.session_now()
    left = [head.turn for head in session.conversation.heads]
    turn = last_turn(session.journal.record.path, max(left, default=0))
    if turn is None:
        raise UsageError("There is no turn to keep yet.", "The first %%agent cell begins one.")
    chosen = _chosen(turn, rest)
    cells = [*map(lambda step: _code_cell(turn, step), chosen), *_answer_cell(turn)]
    cells = agent.mask.value(cells)
    if not cells:
        raise UsageError(
            "The last turn has no step that worked, and no answer.",
            "`%agent keep 1` keeps a step that failed.",
        )
    await asyncio.sleep(0)
    here = current_notebook(agent.shell, find_notebook(agent.shell))
    try:
        document = await here.editable()
        if document is None:
            return _as_next_cell(agent, chosen)
        kept = [cell.metadata.get("inkernel") for cell in await document.cells()]
        cells = [cell for cell in cells if cell.metadata["inkernel"] not in kept]
        where = turn.opening.cell or here.cell
        ids = await document.insert(where or here.default_place(), cells) if cells else ()
    except DocumentError as error:
        raise UsageError(f"The cells could not be inserted: {error}") from None
    finally:
        here.close()
    if not ids:
        return Card("The notebook has these cells already. Delete one to have it inserted again.")
    told = f"{count_of(len(ids), 'cell')} below the turn's own: {_words(cells)}."
    return Card(told, lost_rows(turn.lost))


async def fix(agent: KernelAgent, _rest: str) -> Card | None:
    """Run a turn about the last cell that failed."""
    runs = [run for run in agent.runs() if not run.hidden]
    failed = next((run for run in reversed(runs) if run.status == "error"), None)
    if failed is None:
        raise UsageError("No cell of yours has failed.", "To ask for anything else, use %%agent.")
    await asyncio.sleep(0)
    await agent.ask(FIX.format(cell=_name(failed), error=_error(failed)), {}, new=False)


async def explain(agent: KernelAgent, rest: str) -> Card | None:
    """Run a turn about one cell."""
    if not rest:
        raise UsageError("Which cell?", "For example: `%agent explain In [12]`.")
    reference = parse_reference(rest)
    words = f"In [{reference.count}]" if isinstance(reference, CountReference) else rest
    await asyncio.sleep(0)
    here = current_notebook(agent.shell, find_notebook(agent.shell))
    try:
        document = await here.document()
        found = one_cell(await document.cells(), words) if document else None
    except DocumentError as error:
        if error.cause != "no cell":
            raise UsageError(str(error)) from None
        found = None
    finally:
        here.close()
    source = found.source if found else _ran(agent, words) or _step(agent, reference)
    if source is None:
        raise UsageError(no_cell(rest), "Name it as In [12], #3, or by the start of its id.")
    await agent.ask(EXPLAIN.format(cell=f"the cell {words}", source=source), {}, new=False)


def _ran(agent: KernelAgent, words: str) -> str | None:
    """The source of the latest run of this name, also of a cell that has run again since."""
    runs = (run for run in reversed(agent.runs()) if not run.hidden)
    return next((run.source for run in runs if words in (f"In [{run.count}]", run.cell)), None)


def _step(agent: KernelAgent, reference: Reference) -> str | None:
    """The source of a step of the agent that had this number. Raises UsageError for a prompt."""
    if not agent.overview.items or not isinstance(reference, CountReference):
        return None
    session = agent.session_now()
    holds = validity(session.conversation, session.outputs.runs)
    for head in session.outputs.runs.named(reference):
        if head.by == "agent" and not holds.hides(head):
            return session.outputs.run(head.handle).source
    for turn in turns_named(reference, session.conversation.heads):
        raise UsageError(
            f"In [{reference.count}] is your prompt of turn {turn.turn}.",
            "Name a cell with code: one of yours, or a step of the agent.",
        )
    return None


def _chosen(turn: PastTurn, words: str) -> list[PastStep]:
    """The steps by number from 1. Without numbers, those that worked and are not yet a cell."""
    if not words:
        return [step for step in turn.steps if step.run.status == "ok" and not step.ran]
    numbers = [int(word) for word in words.replace(",", " ").split() if word.isdecimal()]
    if len(numbers) != len(words.replace(",", " ").split()):
        raise UsageError(f"{words!r} names no steps.", "Give numbers, such as `%agent keep 1 3`.")
    if wrong := [n for n in numbers if not 1 <= n <= len(turn.steps)]:
        raise UsageError(
            f"The last turn has {count_of(len(turn.steps), 'step')}, and no step {wrong[0]}."
        )
    return [turn.steps[n - 1] for n in numbers]


def _code_cell(turn: PastTurn, step: PastStep) -> NewCell:
    source = _source(step)
    return NewCell(
        kind="code",
        source=source,
        outputs=as_nbformat(step.run),
        execution_count=step.run.count,
        metadata={"inkernel": turn.provenance(source, step)},
    )


def _source(step: PastStep) -> str:
    """The code of a step, without the empty lines that a model writes at its end."""
    return step.run.source.rstrip("\n")


def _answer_cell(turn: PastTurn) -> list[NewCell]:
    if not turn.answer:
        return []
    metadata = {"inkernel": turn.provenance(turn.answer)}
    return [NewCell(kind="markdown", source=turn.answer, metadata=metadata)]


def _as_next_cell(agent: KernelAgent, steps: Sequence[PastStep]) -> Card:
    """Put the code into one new cell, where the notebook cannot be edited."""
    if not steps:
        return Card("This front end cannot insert cells, and the turn ran no step to keep.")
    agent.put_below("\n\n".join(map(_source, steps)))
    return Card(
        f"The code of {count_of(len(steps), 'step')} is in one new cell, since this front end"
        " cannot insert more. Their outputs and the answer stay where they are."
    )


def _words(cells: Sequence[NewCell]) -> str:
    steps = sum(cell.kind == "code" for cell in cells)
    told = [count_of(steps, "step")] if steps else []
    return " and ".join([*told, *(["the answer"] if steps < len(cells) else [])])


def _name(run: UserCellRun) -> str:
    return f"In [{run.count}]" if run.count is not None else f"run {run.number}"


def _error(run: UserCellRun) -> str:
    errors = [output for output in run.outputs if output.output_type == "error"]
    return f"{errors[-1].ename}: {errors[-1].evalue}" if errors else "it failed"


COMMANDS = (
    Command(
        "keep",
        "[STEPS] — keep the last turn's answer and steps (as 2 3, else what worked) as cells",
        keep,
    ),
    Command("fix", "— explain and repair your last cell that failed", fix),
    Command(
        "explain",
        "CELL — explain a cell of the notebook, given as In [12], #3 or the start of its id",
        explain,
    ),
)
