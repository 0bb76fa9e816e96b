"""The tool `notebook_edit`: inserts, changes, deletes and moves cells of the notebook.

It never reports an edit that was not applied, and never loses the user's changes meanwhile.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Literal

from pydantic import BaseModel, Field

from ...agent.text.lines import fenced
from ...agent.tools.schema import FieldsOf
from ...agent.tools.tool import Tool, ToolCall, ToolOutput, always, text_output
from ..notebook.current import NOT_EDITABLE, CurrentNotebook, new_cell, one_cell
from ..notebook.document import Document, DocumentError, Edge, LiveCell
from .notebook_read import ID_CHARS

DESCRIPTION = (
    "Edit the notebook you are in; the person sees it happen, and can undo it. Edits are made in "
    "order until one is refused. Name a cell by its id or the start of it, In [12] or #3, as before"
    " the call. To change a part, give `old` (text that occurs once) and `source` to replace it. To"
    " replace a whole source, read the cell first. New code is not run: notebook_run does that."
)


class Edit(BaseModel):
    """One edit."""

    op: Literal["insert", "replace", "delete", "move"]
    cell: str = Field(default="", description="the cell to replace, delete or move")
    after: str = Field(
        default="",
        description="insert, move: the cell before it, `start` or `end`; else below your own",
    )
    kind: Literal["code", "markdown", "raw"] = "code"
    source: str = Field(default="", description="the new source, or the text to replace `old`")
    old: str = Field(default="", description="replace: the part to replace")


class NotebookEdit(BaseModel):
    """The edits to make."""

    edits: list[Edit] = Field(min_length=1, max_length=50)


def notebook_edit_tool(here: CurrentNotebook) -> Tool[NotebookEdit]:
    """The tool `notebook_edit`."""

    async def run(_call: ToolCall, arguments: NotebookEdit) -> ToolOutput:
        document = await here.editable()
        if document is None:
            return _without(here, arguments.edits)
        done: list[str] = []
        before: Sequence[LiveCell] = ()
        placed = _Placed()
        for number, edit in enumerate(arguments.edits, 1):
            try:
                before = before or await document.cells()
                done.append(
                    f"{number}. {await _apply(here, document, placed, _by_id(before, edit))}"
                )
            except DocumentError as error:
                done.append(f"{number}. Refused: {_refusal(error)}")
                if left := len(arguments.edits) - number:
                    done.append(f"{left} further edit(s) were not tried.")
                return text_output("\n".join(done), "error")
        return text_output("\n".join(done))

    touches = always("edit_notebook", paths=here.paths)
    return Tool("notebook_edit", DESCRIPTION, FieldsOf(NotebookEdit), run, touches)


def _by_id(before: Sequence[LiveCell], edit: Edit) -> Edit:
    """The edit with cell ids, found in the notebook before the call. Raises DocumentError."""
    ids = {
        name: one_cell(before, words).id
        for name, words in (("cell", edit.cell), ("after", edit.after))
        if words and words not in ("start", "end")
    }
    return edit.model_copy(update=ids)


class _Placed:
    """The cells that a call has put after others, so that those put there later come after them."""

    def __init__(self) -> None:
        self._after: dict[str | Edge, list[str | Edge]] = {}

    def place(self, after: str | Edge) -> str | Edge:
        """The place for the next cell that is to come after this one."""
        while (last := self._after.get(after, [after])[-1]) != after:
            after = last
        return after

    def put(self, cell: str, after: str | Edge) -> None:
        """Note that a cell was put there."""
        self.gone(cell)
        if after is not Edge.END:
            self._after.setdefault(after, [after]).append(cell)

    def gone(self, cell: str) -> None:
        """Note that a cell left its place."""
        self._after.pop(cell, None)
        for cells in self._after.values():
            if cell in cells:
                cells.remove(cell)


async def _apply(here: CurrentNotebook, document: Document, placed: _Placed, edit: Edit) -> str:
    match edit.op:
        case "insert":
            return await _insert(here, document, placed, edit)
        case "replace":
            return await _replace(here, document, edit)
        case "delete":
            cell = one_cell(await document.cells(), edit.cell)
            with _learning(here, cell):
                await document.delete(cell.id, _known(here, cell))
            here.seen.pop(cell.id, None)
            placed.gone(cell.id)
            return f"Deleted cell {cell.id[:ID_CHARS]}."
        case "move":
            after = _after(here, edit.after)
            await document.move(edit.cell, placed.place(after))
            placed.put(edit.cell, after)
            return f"Moved cell {edit.cell[:ID_CHARS]} {_where(after)}."


async def _insert(here: CurrentNotebook, document: Document, placed: _Placed, edit: Edit) -> str:
    after = _after(here, edit.after)
    (new,) = await document.insert(placed.place(after), [new_cell(edit.kind, edit.source)])
    placed.put(new, after)
    here.last = new
    here.seen[new] = edit.source
    return f"Inserted {edit.kind} cell {new[:ID_CHARS]} {_where(after)}."


async def _replace(here: CurrentNotebook, document: Document, edit: Edit) -> str:
    cell = one_cell(await document.cells(), edit.cell)
    with _learning(here, cell):
        source, expect = _wanted(here, cell, edit)
        await document.replace(cell.id, source, expect)
    here.seen[cell.id] = source
    return f"Replaced {'part' if edit.old else 'the source'} of cell {cell.id[:ID_CHARS]}."


def _wanted(here: CurrentNotebook, cell: LiveCell, edit: Edit) -> tuple[str, str]:
    """The new source of a cell, and the source that it must have until then.

    Raises DocumentError.
    """
    if not edit.old:
        return edit.source, _known(here, cell)
    found = cell.source.count(edit.old)
    if found != 1:
        what = "is not in it" if not found else f"is in it {found} times: give more text around it"
        raise DocumentError("conflict", f"`old` {what}.", cell.source)
    return cell.source.replace(edit.old, edit.source), cell.source


def _known(here: CurrentNotebook, cell: LiveCell) -> str:
    """The source that the model knows. Raises DocumentError when it knows none."""
    if cell.id in here.seen:
        return here.seen[cell.id]
    raise DocumentError("conflict", "You have not read this cell in this turn.", cell.source)


@contextmanager
def _learning(here: CurrentNotebook, cell: LiveCell) -> Generator[None]:
    """Note the present source that a refusal shows, since the model knows it from then on."""
    try:
        yield
    except DocumentError as error:
        if error.present is not None:
            here.seen[cell.id] = error.present
        raise


def _after(here: CurrentNotebook, after: str) -> str | Edge:
    return Edge(after) if after in ("start", "end") else after or here.default_place()


def _where(after: str | Edge) -> str:
    return f"at the {after.value}" if isinstance(after, Edge) else f"after cell {after[:ID_CHARS]}"


def _refusal(error: DocumentError) -> str:
    """The reason, and the present source."""
    return str(error) if error.present is None else f"{error} It is now:\n{fenced(error.present)}"


def _without(here: CurrentNotebook, edits: Sequence[Edit]) -> ToolOutput:
    """The answer where nothing can be edited. Code may still go into a new cell below."""
    if any(edit.op != "insert" or edit.kind != "code" or edit.after for edit in edits):
        return text_output(NOT_EDITABLE, "error")
    if not all(here.put_next(edit.source) for edit in edits):
        return text_output(NOT_EDITABLE, "error")
    return text_output(
        "The notebook cannot be edited from here. The code will be in one new cell below when this"
        " turn has ended; it was not run."
    )
