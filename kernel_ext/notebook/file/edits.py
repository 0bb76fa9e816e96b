"""Edits a notebook's cells: all edits or none, and no other byte. Reads and writes no file.

Each edit applies to the result of those before it. Two that would undo one another are refused. New
text has the file's own indentation and line ends.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Final, NamedTuple, cast

from ....agent.errors import UsageError
from ....agent.frozen import frozen
from .ipynb import MINOR, Cell, CellKind, Ipynb, encoded, made_id, no_such_cell, parse_ipynb
from .scan import Located

AT_END: Final = "<end>"
"""As `after`, it means the last cell. It cannot be an id, which has no angle brackets."""


@frozen
class NewFileCell:
    """A cell to make. Without an `id` it gets one computed from its place and source."""

    kind: CellKind
    source: str
    id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    outputs: tuple[Mapping[str, Any], ...] = ()
    execution_count: int | None = None


@frozen
class Insert:
    """Insert cells after the one with this id. None: at the start. AT_END: at the end."""

    after: str | None
    cells: tuple[NewFileCell, ...]


@frozen
class Replace:
    """Replace the source. If it differs, a code cell loses its outputs and execution_count.

    `expect`: the source that the caller saw. The edit is refused if the source has changed.
    """

    id: str
    source: str
    expect: str | None = None


@frozen
class Delete:
    """Delete the cell. `expect` as in Replace."""

    id: str
    expect: str | None = None


@frozen
class Move:
    """Move the cell after the one with the id `after`. None and AT_END as in Insert."""

    id: str
    after: str | None


@frozen
class SetOutputs:
    """Set the outputs and count of a code cell, in nbformat's form in memory."""

    id: str
    outputs: tuple[Mapping[str, Any], ...]
    execution_count: int | None


FileEdit = Insert | Replace | Delete | Move | SetOutputs
ByteRun = bytes | memoryview


class _Patch(NamedTuple):
    """Replaces the bytes from `start` to `end` by `pieces`."""

    start: int
    end: int
    pieces: tuple[ByteRun, ...]


@frozen
class _Slot:
    """A cell during the edits: from the file, maybe with new values, or new. `done`: its edits."""

    id: str
    cell: Cell | None = None
    new: bytes = b""
    values: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    done: tuple[type[FileEdit], ...] = ()


class _Style(NamedTuple):
    """The file's layout. `indent`: None if all is on one line. `base`: indentation of a cell."""

    newline: str
    indent: str | None
    base: str
    comma: str
    colon: str

    def text(self, value: Any, base: str) -> bytes:
        """A value as JSON, with sorted keys as in nbformat. Raises UsageError if it is not JSON."""
        signs = (self.comma if self.indent is None else ",", self.colon)
        try:
            text = json.dumps(
                value, indent=self.indent, separators=signs, sort_keys=True, ensure_ascii=False
            )
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"A new value is not valid JSON: {error}.") from None
        return encoded(text if self.indent is None else text.replace("\n", self.newline + base))

    def line(self, base: str) -> bytes:
        """A line end, and the indentation of the next line."""
        return b"" if self.indent is None else (self.newline + base).encode()


def edited_notebook(data: bytes, edits: Sequence[FileEdit]) -> bytes:
    """The file after all edits, in format 4.5 or its own later 4.x. Raises UsageError.

    Cells without an edit keep their bytes, but get an id if they had none. A file of format 2 or 3
    is converted, so its cells keep only their content.
    """
    return edited_with_names(data, edits)[0]


def edited_with_names(
    data: bytes, edits: Sequence[FileEdit], names: Sequence[str] = ()
) -> tuple[bytes, tuple[str, ...]]:
    """The file after all edits, and the names of its cells there. `names`: those before."""
    notebook = parse_ipynb(data, proven=True, names=names)
    if not edits:
        return data, tuple(cell.id for cell in notebook.cells)
    style = _style(notebook)
    slots = [_Slot(cell.id, cell) for cell in notebook.cells]
    for edit in edits:
        slots = _applied(slots, edit, style)
    return _written(notebook, slots, style), tuple(slot.id for slot in slots)


def upgraded(data: bytes) -> bytes:
    """The notebook in format 4.5 or its own later 4.x, and each cell with an id of its own."""
    notebook = parse_ipynb(data, proven=True)
    slots = [_Slot(cell.id, replace(cell, shared="")) for cell in notebook.cells]
    return _written(notebook, slots, _style(notebook))


def _written(notebook: Ipynb, slots: list[_Slot], style: _Style) -> bytes:
    body, whole = notebook.body, notebook.layout.notebook
    patches = [_array(notebook, slots, style)]
    if notebook.nbformat_minor < MINOR or notebook.nbformat < 4:
        patches.append(_member(body, whole, "nbformat_minor", b"%d" % MINOR, style))
    return b"".join(_patched(body, 0, len(body), patches))


def _applied(slots: list[_Slot], edit: FileEdit, style: _Style) -> list[_Slot]:
    match edit:
        case Insert():
            at = _after(slots, edit.after)
            return [*slots[:at], *_new_slots(slots, at, edit.cells, style), *slots[at:]]
        case Delete():
            at = _find(slots, edit.id, edit)
            _expect(slots[at].cell, edit.expect)
            return [*slots[:at], *slots[at + 1 :]]
        case Move():
            at = _find(slots, edit.id, edit)
            if edit.after == edit.id:
                raise UsageError(f"The cell {edit.id!r} cannot go after itself.")
            rest = [*slots[:at], *slots[at + 1 :]]
            to = _after(rest, edit.after)
            return [*rest[:to], _with(slots[at], edit, {}, style), *rest[to:]]
        case Replace():
            at = _find(slots, edit.id, edit)
            return [*slots[:at], _replaced(slots[at], edit, style), *slots[at + 1 :]]
        case SetOutputs():
            at = _find(slots, edit.id, edit)
            return [*slots[:at], _ran(slots[at], edit, style), *slots[at + 1 :]]


_AGAINST: dict[type[FileEdit], tuple[type[FileEdit], ...]] = {
    Delete: (Insert, Move, Replace, SetOutputs),
    Move: (Insert, Move),
    Replace: (Insert, Replace, SetOutputs),
    SetOutputs: (Insert, SetOutputs),
}
"""For each edit, the earlier edits of the same cell that it may not follow."""


def _find(slots: list[_Slot], cell_id: str, edit: FileEdit | None = None) -> int:
    found = next((at for at, slot in enumerate(slots) if slot.id == cell_id), None)
    if found is None:
        raise no_such_cell(cell_id, [slot.cell for slot in slots if slot.cell])
    if edit:
        for other in slots[found].done:
            if other in _AGAINST[type(edit)]:
                first, second = other.__name__, type(edit).__name__
                raise UsageError(
                    f"Two edits of the cell {cell_id!r} conflict: {second} after {first}.",
                    "Nothing was changed. Use a single edit for it.",
                )
    return found


def _after(slots: list[_Slot], after: str | None) -> int:
    if after is None:
        return 0
    return len(slots) if after == AT_END else _find(slots, after) + 1


def _expect(cell: Cell | None, expect: str | None) -> None:
    if cell and expect is not None and cell.source != expect:
        raise UsageError(
            f"The cell {cell.id!r} is not as you saw it. Its source is now:\n{cell.source}",
            "Nothing was changed. Read it, and edit the present source.",
        )


def _with(slot: _Slot, edit: FileEdit, values: dict[str, Any], style: _Style) -> _Slot:
    base = style.base + (style.indent or "")
    texts = {key: style.text(value, base) for key, value in values.items()}
    return replace(slot, values={**slot.values, **texts}, done=(*slot.done, type(edit)))


def _replaced(slot: _Slot, edit: Replace, style: _Style) -> _Slot:
    cell = slot.cell
    _expect(cell, edit.expect)
    if cell is None or cell.source == edit.source:
        return _with(slot, edit, {}, style)
    values: dict[str, Any] = {"source": edit.source.splitlines(keepends=True)}
    if cell.kind == "code":
        values |= {"outputs": [], "execution_count": None}
    return _with(slot, edit, values, style)


def _ran(slot: _Slot, edit: SetOutputs, style: _Style) -> _Slot:
    if slot.cell is None or slot.cell.kind != "code":
        raise UsageError(f"The cell {edit.id!r} is no code cell: it has no outputs.")
    run = NewFileCell("code", "", "run", {}, edit.outputs, edit.execution_count)
    made = _checked(run, f"The outputs for the cell {edit.id!r}")
    return _with(slot, edit, {key: made[key] for key in ("outputs", "execution_count")}, style)


def _new_slots(
    slots: list[_Slot], at: int, cells: tuple[NewFileCell, ...], style: _Style
) -> Iterator[_Slot]:
    taken = {slot.id for slot in slots}
    for place, cell in enumerate(cells, at):
        if cell.id in taken:
            raise UsageError(f"There is a cell with the id {cell.id!r} already.")
        name = cell.id
        if name is None:
            name = made_id(f"{place}:{cell.kind}:{cell.source}", taken)
        taken.add(name)
        made = _checked(replace(cell, id=name), f"The new cell {name!r}")
        yield _Slot(name, new=style.text(made, style.base), done=(Insert,))


def _checked(cell: NewFileCell, what: str) -> Any:
    """The cell as nbformat writes it. Raises UsageError if it is not valid."""
    import nbformat
    from nbformat.v4 import rwbase

    parts: dict[str, Any] = {"cell_type": cell.kind, "id": cell.id, "source": cell.source}
    parts["metadata"] = dict(cell.metadata)
    if cell.kind == "code":
        outputs = [dict(output) for output in cell.outputs]
        parts |= {"outputs": outputs, "execution_count": cell.execution_count}
    elif cell.outputs or cell.execution_count is not None:
        raise UsageError(f"{what} cannot have outputs: it is no code cell.")
    tools = cast("Any", nbformat)
    made = tools.from_dict({"cells": [parts]})
    try:
        tools.validate(made.cells[0], ref=f"{cell.kind}_cell", version=4, version_minor=MINOR)
    except nbformat.ValidationError as error:
        reason = str(error).partition("\n")[0][:300]
        raise UsageError(f"{what} does not follow the notebook format: {reason}") from None
    return cast("Any", rwbase).split_lines(made).cells[0]


def _member(body: bytes, place: Located, key: str, text: bytes, style: _Style) -> _Patch:
    """Replaces a member's value, or adds the member before the first with a greater name."""
    known = place.members.get(key)
    if known:
        return _Patch(known.start, known.end, (text,))
    pair = b'"%s"%s%s' % (key.encode(), style.colon.encode(), text)
    members = sorted((member.at, name) for name, member in place.members.items())
    follower = next((at for at, name in members if name > key), None)
    if follower is not None:
        return _Patch(follower, follower, (pair, b",", _space_before(body, follower)))
    last = max(member.end for member in place.members.values())
    return _Patch(last, last, (b",", _space_before(body, members[-1][0]), pair))


def _space_before(body: bytes, at: int) -> bytes:
    start = at
    while body[start - 1] in b" \t\r\n":
        start -= 1
    return body[start:at]


def _bytes(slot: _Slot, style: _Style) -> Iterable[ByteRun]:
    """The bytes of a cell, with its id in them. An id that others have stays in unchanged cells."""
    cell = slot.cell
    if cell is None:
        return [slot.new]
    values = dict(slot.values)
    known = cell.place.members.get("id")
    given = None if known is None else json.loads(cell.body[known.start : known.end])
    if given != cell.id and (values or not cell.shared):
        values["id"] = encoded(json.dumps(cell.id))
    patches = [_member(cell.body, cell.place, key, values[key], style) for key in sorted(values)]
    return _patched(cell.body, *cell.span, patches)


def _patched(body: bytes, start: int, end: int, patches: Iterable[_Patch]) -> Iterator[ByteRun]:
    view, at = memoryview(body), start
    for patch in sorted(patches, key=lambda patch: patch[:2]):
        yield view[at : patch.start]
        yield from patch.pieces
        at = patch.end
    yield view[at:end]


def _array(notebook: Ipynb, slots: list[_Slot], style: _Style) -> _Patch:
    """Replaces the list of cells. The bytes between two cells that stay neighbours stay."""
    body, cells = notebook.body, notebook.cells
    place = notebook.layout.notebook.members["cells"]
    if not slots:
        return _Patch(place.start, place.end, (b"[]",))
    if cells:
        first, last = body[place.start : cells[0].span[0]], body[cells[-1].span[1] : place.end]
    else:
        first, last = b"[" + style.line(style.base), style.line(style.indent or "") + b"]"
    pieces: list[ByteRun] = [first]
    for before, slot in zip([None, *slots], slots, strict=False):
        if before:
            pieces.append(_gap(notebook, before.cell, slot.cell, style))
        pieces.extend(_bytes(slot, style))
    return _Patch(place.start, place.end, (*pieces, last))


def _gap(notebook: Ipynb, before: Cell | None, after: Cell | None, style: _Style) -> bytes:
    cells, body = notebook.cells, notebook.body
    if not (before and after and after.at == before.at + 1):
        if len(cells) < 2:
            sign = style.comma if style.indent is None else ","
            return sign.encode() + style.line(style.base)
        before, after = cells[:2]
    return body[before.span[1] : after.span[0]]


def _style(notebook: Ipynb) -> _Style:
    body, whole = notebook.body, notebook.layout.notebook
    members = sorted(whole.members.values())
    space = _space_before(body, members[0].at)
    colon = body[members[0].at : members[0].start].rpartition(b'"')[2].decode()
    if b"\n" not in space:
        between = _space_before(body, members[1].at).decode()
        return _Style("", None, "", "," if "\n" in between else f",{between}", colon)
    indent = space.rpartition(b"\n")[2].decode()
    base = indent * 2
    if notebook.cells:
        lead = _space_before(body, notebook.cells[0].span[0])
        base = lead.rpartition(b"\n")[2].decode() if b"\n" in lead else base
    return _Style("\r\n" if b"\r\n" in space else "\n", indent, base, ",", colon)
