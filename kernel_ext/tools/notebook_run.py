"""The tool `notebook_run`: runs cells in the live namespace, and puts their outputs into them.

Knows no shell: it runs code through the `run_code` that it gets.
"""

from collections.abc import Callable
from dataclasses import replace

from pydantic import BaseModel, Field

from ...agent.conversation.output_store import OutputStore
from ...agent.protocol.actions import Touches
from ...agent.protocol.cells import CellRun, StreamOutput
from ...agent.protocol.events import Event, Notice, OutputShown
from ...agent.protocol.items import text_part
from ...agent.tools.run_cell import RunCell, RunCode, end_of, tell
from ...agent.tools.schema import FieldsOf
from ...agent.tools.tool import ChangedError, Tool, ToolCall, ToolOutput, always, text_output
from ..notebook.current import NO_NOTEBOOK, CurrentNotebook, find_cells
from ..notebook.document import Document, DocumentError, LiveCell
from ..notebook.outputs import as_nbformat
from .notebook_read import ID_CHARS

DESCRIPTION = (
    "Run code cells of the notebook in the order given, as the person would: their outputs are "
    "shown in the cells. Stops at the first that fails. Returns for each what run_cell returns."
)


class NotebookRun(BaseModel):
    """The cells to run."""

    cells: list[str] = Field(min_length=1, max_length=50, description="as in notebook_read")
    timeout: float = Field(0, ge=0, description="most seconds of each, if not the usual")


def notebook_run_tool(
    here: CurrentNotebook,
    run_code: RunCode,
    limit: int,
    outputs: OutputStore,
    as_python: Callable[[str], str] = str,
) -> Tool[NotebookRun]:
    """The tool `notebook_run`. Each run is recorded. `limit`: tokens of the whole output.

    `as_python`: a cell as the shell runs it. The cells run with the sources that were judged, or
    not at all. Outputs are shown in the cells, or in the step if the notebook cannot be edited.
    """

    async def run(call: ToolCall, arguments: NotebookRun) -> ToolOutput:
        document = await here.document()
        if document is None:
            return text_output(NO_NOTEBOOK, "error")
        try:
            cells = _runnable(here, await document.cells(), arguments)
        except DocumentError as error:
            return text_output(str(error), "error")
        _check_judged(call, cells)
        editable = await here.editable()
        parts: list[dict[str, str]] = []
        last = text_output("")
        for cell in cells:
            step = RunCell(title=_title(cell), code=cell.source, timeout=arguments.timeout)
            done = await run_code(call if editable is None else _quiet(call), step)
            handle = outputs.keep_run(call.id, done, cell.id)
            shown = await _put(editable, cell, done)
            if shown:
                told = StreamOutput(name="stderr", text=f"[{_title(cell)}{shown}]\n")
                for output in (*(done.outputs if editable else ()), told):
                    call.show(OutputShown(call_id=call.id, output=output))
            last = replace(tell(done, limit // len(cells), handle), run=handle, count=done.count)
            parts += [text_part(f"## cell {cell.id[:ID_CHARS]} · {handle}{shown}"), *last.parts]
            if ends := end_of(done):
                last = replace(last, ends=ends)
            if done.status != "ok":
                break
        return replace(last, parts=tuple(parts))

    touches = always("run_code", "edit_notebook", paths=here.paths)

    async def looked_up(arguments: NotebookRun) -> Touches:
        return await _with_sources(touches(arguments), here, arguments, as_python)

    return Tool("notebook_run", DESCRIPTION, FieldsOf(NotebookRun), run, touches, looked_up)


async def _with_sources(
    touches: Touches, here: CurrentNotebook, asked: NotebookRun, as_python: Callable[[str], str]
) -> Touches:
    """The same with the sources as they are now. Without the cells, `run` tells why."""
    document = await here.document()
    if document is None:
        return touches
    try:
        cells = _runnable(here, await document.cells(), asked)
    except DocumentError:
        return touches
    code = "\n".join(as_python(cell.source) for cell in cells)
    return replace(touches, code=code, literal=_literal(cells))


def _check_judged(call: ToolCall, cells: list[LiveCell]) -> None:
    """Raises ChangedError if these are not the sources that the call's verdict is about."""
    if call.action is not None and call.action.literal != _literal(cells):
        raise ChangedError("a cell has changed since it was judged")


def _literal(cells: list[LiveCell]) -> str:
    """The sources of all cells, each below its name."""
    return "\n".join(f"# {_title(cell)}\n{cell.source}" for cell in cells)


def _quiet(call: ToolCall) -> ToolCall:
    """The call, but only its notices are shown. A cell shows its outputs itself."""

    def show(event: Event) -> None:
        if isinstance(event, Notice):
            call.show(event)

    return replace(call, show=show)


def _runnable(
    here: CurrentNotebook, cells: tuple[LiveCell, ...], asked: NotebookRun
) -> list[LiveCell]:
    found = [cell for words in asked.cells for cell in find_cells(cells, words)]
    chosen = [cell for cell in found if cell.kind == "code"]
    if not chosen:
        raise DocumentError("bad request", "None of these is a code cell.")
    if any(here.cell in (cell.id, cell.shared) for cell in chosen if here.cell):
        raise DocumentError("running", "Your own cell is among them: it runs already.")
    return chosen


async def _put(document: Document | None, cell: LiveCell, run: CellRun) -> str:
    """Put the outputs into the cell. Returns the problem in words, or nothing."""
    if document is None:
        return " (the cell still shows its old outputs: it cannot be edited here)"
    try:
        await document.set_outputs(cell.id, as_nbformat(run), run.count)
    except DocumentError as error:
        return f" (its outputs could not be put into the cell: {error})"
    return ""


def _title(cell: LiveCell) -> str:
    return f"cell {cell.id[:ID_CHARS]}"
