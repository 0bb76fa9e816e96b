"""Edits of a notebook's cells do what they say, and touch no other byte."""

import json

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inkernel.agent.errors import UsageError
from inkernel.kernel_ext.notebook.file import scan
from inkernel.kernel_ext.notebook.file.edits import (
    AT_END,
    Delete,
    Insert,
    Move,
    NewFileCell,
    Replace,
    SetOutputs,
    edited_notebook,
)
from inkernel.kernel_ext.notebook.file.ipynb import outputs, parse_ipynb

from .layouts import (
    any_json,
    any_text,
    jupyters,
    layouts,
    notebooks,
    three_cells,
    without_id,
)


def without_bom(data):
    """What Python's reader takes."""
    return json.loads(data.removeprefix(scan.BOM))


new_cells = st.builds(
    NewFileCell,
    st.sampled_from(["code", "markdown", "raw"]),
    any_text,
    metadata=st.dictionaries(st.sampled_from(["tags2", "a"]), any_json, max_size=1),
)


@st.composite
def batches(draw, ids):
    """Edits that do not conflict: of each cell at most one, and new ones."""
    edits = []
    left = list(ids)
    for one in draw(st.lists(st.sampled_from(ids), unique=True)) if ids else []:
        others = [None, AT_END, *(other for other in left if other != one)]
        kind = draw(st.sampled_from([Replace, Delete, Move]))
        if kind is Replace:
            edits.append(Replace(one, draw(any_text)))
        elif kind is Delete:
            edits.append(Delete(one))
            left.remove(one)
        else:
            edits.append(Move(one, draw(st.sampled_from(others))))
    new = tuple(draw(st.lists(new_cells, max_size=2)))
    edits.append(Insert(draw(st.sampled_from([None, AT_END, *left])), new))
    return edits


def modelled(cells, edits):
    """The same edits made to a list of (id, source), new ones with no id."""
    cells = list(cells)

    def place(after):
        return {None: 0, AT_END: len(cells)}.get(after) or (
            0 if after is None else [one for one, _ in cells].index(after) + 1
        )

    for edit in edits:
        if isinstance(edit, Insert):
            at = len(cells) if edit.after == AT_END else place(edit.after)
            cells[at:at] = [(None, new.source) for new in edit.cells]
            continue
        at = [one for one, _ in cells].index(edit.id)
        if isinstance(edit, Replace):
            cells[at] = (edit.id, edit.source)
            continue
        cell = cells.pop(at)
        if isinstance(edit, Move):
            cells.insert(len(cells) if edit.after == AT_END else place(edit.after), cell)
    return cells


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(notebooks(), layouts(), st.data())
def test_edits_do_what_they_say_and_touch_nothing_else(notebook, layout, data):
    before = layout(notebook)
    read = parse_ipynb(before)
    edits = data.draw(batches([cell.id for cell in read.cells]))
    after = edited_notebook(before, edits)
    written = parse_ipynb(after)

    expected = modelled([(cell.id, cell.source) for cell in read.cells], edits)
    assert [cell.source for cell in written.cells] == [text for _, text in expected]
    named = {edit.id for edit in edits if isinstance(edit, Replace)}
    for cell, (one, _) in zip(written.cells, expected, strict=True):
        assert one is None or cell.id == one
        if one is None or one in named:
            continue
        old = read.cell(one)
        if notebook["nbformat_minor"] >= 5:
            assert after[slice(*cell.span)] == before[slice(*old.span)]
        else:
            assert without_id(cell, after) == before[slice(*old.span)]
    assert written.nbformat_minor == 5
    for key in ("metadata", "nbformat"):
        was, now = read.layout.notebook.members[key], written.layout.notebook.members[key]
        assert after[now.at : now.end] == before[was.at : was.end]
    first, last = read.layout.notebook.start, len(before) - read.layout.notebook.end
    assert after[:first] == before[:first]
    assert len(after) - written.layout.notebook.end == last
    assert_valid(without_bom(after), without_bom(before))


def assert_valid(after, before):
    """Of format 4.5 for nbformat, if it was valid before."""
    try:
        nbformat.validate(before)
    except nbformat.ValidationError:
        return
    nbformat.validate(after)


def test_what_is_new_is_written_as_nbformat_writes_it():
    cells = three_cells()
    shown = {"output_type": "display_data", "data": {"text/plain": "a\nb"}, "metadata": {}}
    cells[1].outputs, cells[1].execution_count = [nbformat.from_dict(shown)], 4
    cells[2].source = "x = 2\ny = 'é'\n"
    more = nbformat.v4.new_raw_cell("raw", id="raw", metadata={"b": [1], "a": {}})
    edits = [
        Replace("set", "x = 2\ny = 'é'\n"),
        SetOutputs("show", (shown,), 4),
        Move("title", AT_END),
        Insert("show", (NewFileCell("raw", "raw", "raw", {"b": [1], "a": {}}),)),
    ]
    after = edited_notebook(jupyters(three_cells()), edits)
    assert after == jupyters([cells[1], more, cells[2], cells[0]])


@pytest.mark.parametrize("indent", [1, 2, None, "\t"])
def test_a_notebook_without_cells_gets_some(indent):
    empty = json.dumps(nbformat.v4.new_notebook(), indent=indent)
    filled = edited_notebook(
        empty.encode(), [Insert(None, (NewFileCell("code", "1"), NewFileCell("raw", "2")))]
    )
    assert filled.decode() == json.dumps(json.loads(filled), indent=indent)
    assert [cell.source for cell in parse_ipynb(filled).cells] == ["1", "2"]
    ids = [cell.id for cell in parse_ipynb(filled).cells]
    assert json.loads(edited_notebook(filled, [Delete(one) for one in ids]))["cells"] == []


def test_another_source_clears_what_its_run_came_to():
    read = parse_ipynb(edited_notebook(jupyters(three_cells()), [Replace("show", "print(y)")]))
    cell = read.cell("show")
    assert (cell.source, outputs(cell), cell.execution_count) == ("print(y)", (), None)


def test_the_same_source_changes_nothing():
    data = jupyters(three_cells())
    assert edited_notebook(data, [Replace("show", "print(x)", "print(x)")]) == data
    assert edited_notebook(data, []) == data


def test_a_run_follows_another_source_in_one_batch():
    ran = {"output_type": "stream", "name": "stdout", "text": "2\n"}
    edits = [Replace("show", "print(2)"), SetOutputs("show", (ran,), 5)]
    cell = parse_ipynb(edited_notebook(jupyters(three_cells()), edits)).cell("show")
    assert (cell.source, outputs(cell), cell.execution_count) == ("print(2)", (ran,), 5)


NEW = NewFileCell("code", "1", "new")


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([Replace("show", "y", expect="print(z)")], "Its source is now:\nprint(x)"),
        ([Delete("show", expect="")], "Its source is now:\nprint(x)"),
        ([Replace("gone", "y")], "No cell has the id 'gone'"),
        ([Insert("gone", (NEW,))], "No cell has the id 'gone'"),
        ([Move("set", "gone")], "No cell has the id 'gone'"),
        ([Move("set", "set")], "cannot go after itself"),
        ([Delete("set"), Replace("set", "y")], "No cell has the id 'set'"),
        ([Replace("set", "y"), Replace("set", "z")], "Replace after Replace"),
        ([Replace("set", "y"), Delete("set")], "Delete after Replace"),
        ([Move("set", None), Move("set", AT_END)], "Move after Move"),
        ([SetOutputs("set", (), 1), Replace("set", "z")], "Replace after SetOutputs"),
        ([Insert(None, (NEW,)), Delete("new")], "Delete after Insert"),
        ([Insert(None, (NEW, NEW))], "There is a cell with the id 'new' already"),
        ([Insert(None, (NewFileCell("code", "", "set"),))], "There is a cell with the id 'set'"),
        ([Insert(None, (NewFileCell("code", "", "a b"),))], "does not follow the notebook"),
        ([Insert(None, (NewFileCell("code", "", ""),))], "does not follow the notebook"),
        ([Insert(None, (NewFileCell("raw", "", execution_count=1),))], "cannot have outputs"),
        ([Insert(None, (NewFileCell("code", "", metadata={"a": object()}),))], "not valid JSON"),
        ([SetOutputs("set", ({"output_type": "stream"},), 1)], "does not follow the notebook"),
        ([SetOutputs("set", (), "1")], "does not follow the notebook"),
        ([SetOutputs("title", (), 1)], "is no code cell"),
    ],
)
def test_an_edit_that_cannot_be_made_is_refused(edits, said):
    with pytest.raises(UsageError) as refused:
        edited_notebook(
            jupyters(three_cells()), [Insert(AT_END, (NewFileCell("raw", "first"),)), *edits]
        )
    assert said in str(refused.value)


def test_an_old_oddity_elsewhere_blocks_no_edit():
    notebook = json.loads(jupyters(three_cells()))
    notebook["cells"][0] |= {"id": "not valid!", "odd": [1], "metadata": {"tags": 3}}
    notebook["cells"].append(notebook["cells"][0] | {"source": "again"})
    data = json.dumps(notebook, indent=3).encode()
    after = edited_notebook(data, [Replace("set", "y")])
    for at in (0, 1, 3):
        old, new = parse_ipynb(data).cell(at), parse_ipynb(after).cell(at)
        assert after[slice(*new.span)] == data[slice(*old.span)]
    with pytest.raises(UsageError, match="2 cells have the id 'not valid!'"):
        edited_notebook(data, [Replace("not valid!", "y")])
