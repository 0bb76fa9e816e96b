"""A notebook's file: each cell by itself, and edits that touch no other byte."""

import json
import logging
import os
import site
import stat
import time
import tracemalloc
from pathlib import Path

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
from inkernel.kernel_ext.notebook.file.ipynb import outputs, parse_ipynb, read_ipynb, write_ipynb

# -- notebooks, in any layout ------------------------------------------------------------------

any_text = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(
    [
        '"',
        "\\",
        '\\"',
        "\\\\",
        '\\\\"',
        '\\\\\\"',
        "]\n  }",
        '\n   ],\n   "source": [',
        "é\u2028",
        "\ud800",
    ]
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
source = any_text.map(lambda text: text.splitlines(keepends=True)) | any_text
metadata = st.dictionaries(st.sampled_from(["cells", "tags", "id", "metadata"]), any_json)
stream = st.builds(
    lambda text: {"output_type": "stream", "name": "stdout", "text": text},
    any_text.map(lambda text: text.splitlines(keepends=True)),
)
shown = st.builds(
    lambda text, value: {
        "output_type": "display_data",
        "metadata": {},
        "data": {"text/plain": text, "application/json": value, "application/x+json": [text]},
    },
    any_text,
    any_json,
)
code = st.fixed_dictionaries(
    {
        "cell_type": st.just("code"),
        "execution_count": st.none() | st.integers(1, 9),
        "metadata": metadata,
        "outputs": st.lists(stream | shown, max_size=2),
        "source": source,
    }
)
prose = st.fixed_dictionaries(
    {"cell_type": st.sampled_from(["markdown", "raw"]), "metadata": metadata, "source": source}
)


@st.composite
def notebooks(draw, minors=None):
    """A notebook as JSON has it; keys in any order."""
    minor = draw(st.integers(0, 5) if minors is None else minors)
    cells = draw(st.lists(code | prose, max_size=5))
    for at, cell in enumerate(cells):
        if minor >= 5:
            cell["id"] = f"cell-{at}"
    whole = {
        "cells": [shuffled(draw, cell) for cell in cells],
        "metadata": draw(metadata),
        "nbformat": 4,
        "nbformat_minor": minor,
    }
    return shuffled(draw, whole)


def shuffled(draw, thing):
    """The same members, perhaps in another order."""
    keys = sorted(thing)
    return {key: thing[key] for key in draw(st.just(keys) | st.permutations(keys))}


@st.composite
def layouts(draw):
    """From a notebook to bytes."""
    indent = draw(st.sampled_from([1, 1, 2, 4, None, "\t", 0]))
    separators = draw(st.sampled_from([(",", ": "), (",", ":"), (", ", ": "), (" ,", " : ")]))
    ascii_only = draw(st.booleans())
    newline, end = draw(st.sampled_from(["\n", "\r\n"])), draw(st.sampled_from(["", "\n", "\n\n"]))
    bom = draw(st.sampled_from([b"", b"", scan.BOM]))

    def write(notebook):
        text = json.dumps(notebook, indent=indent, separators=separators, ensure_ascii=ascii_only)
        text = (text + end).replace("\n", newline)
        return bom + text.encode("utf-8", "backslashreplace")

    return write


def text_of(cell):
    """A cell's source as one text."""
    return "".join(cell["source"])


def without_bom(data):
    """What Python's reader takes."""
    return json.loads(data.removeprefix(scan.BOM))


def same(one, other):
    """Equal JSON, NaN too."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def joined(output):
    """An output as nbformat has it in memory."""
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.from_dict(output)])
    return (
        nbformat.v4.rwbase.rejoin_lines(nbformat.from_dict({"cells": [cell]})).cells[0].outputs[0]
    )


@given(notebooks(), layouts())
def test_every_layout_is_read_as_json_has_it(notebook, layout):
    data = layout(notebook)
    read = parse_ipynb(data)
    assert [cell.source for cell in read.cells] == [text_of(cell) for cell in notebook["cells"]]
    for cell, truth in zip(read.cells, notebook["cells"], strict=True):
        assert cell.kind == truth["cell_type"]
        assert cell.execution_count == truth.get("execution_count")
        assert same(cell.metadata, truth["metadata"])
        assert same(outputs(cell), [joined(output) for output in truth.get("outputs", [])])
        assert same(json.loads(data[slice(*cell.span)]), truth)


@given(notebooks(), layouts())
def test_the_way_by_lines_and_the_way_by_tokens_agree(notebook, layout):
    data = layout(notebook)
    by_lines = scan.by_lines(data)
    assert by_lines is None or by_lines == scan.by_tokens(data)


@given(notebooks(st.just(5)), st.sampled_from([1, 2, 4]), st.sampled_from(["\n", "\r\n"]))
def test_what_jupyter_writes_is_read_by_lines(notebook, indent, newline):
    text = json.dumps(notebook, indent=indent, ensure_ascii=False).replace("\n", newline)
    assert scan.by_lines(text.encode("utf-8", "backslashreplace")) is not None


@given(notebooks(), layouts(), st.data())
def test_what_is_cut_or_changed_is_refused_or_read_as_json_has_it(notebook, layout, data):
    text = layout(notebook).removeprefix(scan.BOM)
    at = data.draw(st.integers(0, len(text) - 1))
    sign = data.draw(st.sampled_from([b"", b'"', b"\\", b"]", b"{", b",", b"\n", b"\xff", b"x"]))
    broken = text[:at] + sign + text[at + data.draw(st.sampled_from([1, len(text)])) :]
    try:
        truth = json.loads(broken.decode())
    except ValueError:
        truth = None
    try:
        read = parse_ipynb(broken)
    except UsageError:
        return
    assert truth is not None
    assert [cell.source for cell in read.cells] == [text_of(cell) for cell in truth["cells"]]


MISLEADING = b"""{
 "cells": [
  {
   "cell_type": "code",
   "outputs": [
    {"output_type": "x", "a": [
   ],
   "source": "within an output"
  },
  {
   "cell_type": "code",
   "outputs": [
    1]}], "metadata": {}, "x": [
   ],
   "source": "the one cell's"
  }
 ],
 "metadata": {},
 "nbformat": 4,
 "nbformat_minor": 5
}"""


WITHIN_A_CELL = b"""{
 "cells": [
  {
   "cell_type": "code",
   "outputs": [
    {"output_type": "x", "a": [
   ],
   "source": "within an output",
   "b": [
    1]}], "metadata": {}, "source": "the one cell's", "x": [
   ]
  }
 ],
 "metadata": {},
 "nbformat": 4,
 "nbformat_minor": 5
}"""
TWICE = WITHIN_A_CELL.replace(b'"x": [', b'"outputs": [')


@pytest.mark.parametrize("data", [MISLEADING, WITHIN_A_CELL, TWICE])
def test_a_text_whose_lines_mislead_is_read_as_json_has_it(data):
    assert scan.by_lines(data) != scan.by_tokens(data)
    (cell,) = parse_ipynb(data).cells
    assert cell.source == "the one cell's"
    changed = json.loads(edited_notebook(data, [Replace(cell.id, "y")]))
    assert [cell["source"] for cell in changed["cells"]] == [["y"]]


def test_of_a_key_that_occurs_twice_the_last_holds():
    data = b'{"cells": [{}], "nbformat": 3, "cells": [{"source": "no", "source": "x", "cell_type":'
    data += b' "raw", "metadata": {}}], "nbformat_minor": 5, "nbformat": 4, "metadata": {}}'
    read = parse_ipynb(data)
    assert [cell.source for cell in read.cells] == ["x"]
    after = json.loads(edited_notebook(data, [Replace(read.cells[0].id, "y")]))
    assert after["cells"][0]["source"] == ["y"]


# -- edits --------------------------------------------------------------------------------------

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


def without_id(cell, body):
    """A cell's bytes, without those of its id."""
    start, end = cell.span
    member = cell.place.members["id"]
    follower = min(m.at for m in cell.place.members.values() if m.at > member.at)
    return body[start : member.at] + body[follower:end]


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


def jupyters(cells, **more):
    """A notebook's bytes as nbformat writes it."""
    notebook = nbformat.v4.new_notebook(cells=cells, **more)
    return (nbformat.writes(notebook) + "\n").encode()


def three_cells():
    """Three cells, one with outputs."""
    ran = nbformat.v4.new_output("stream", text="1\n2\n")
    return [
        nbformat.v4.new_markdown_cell("# é\n", id="title"),
        nbformat.v4.new_code_cell("print(x)", id="show", outputs=[ran], execution_count=3),
        nbformat.v4.new_code_cell("x = 1", id="set", metadata={"tags": ["a"]}),
    ]


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
        ([Insert(None, (NewFileCell("code", "", "a b"),))], "not as the format says"),
        ([Insert(None, (NewFileCell("code", "", ""),))], "not as the format says"),
        ([Insert(None, (NewFileCell("raw", "", execution_count=1),))], "cannot have outputs"),
        ([Insert(None, (NewFileCell("code", "", metadata={"a": object()}),))], "no JSON"),
        ([SetOutputs("set", ({"output_type": "stream"},), 1)], "not as the format says"),
        ([SetOutputs("set", (), "1")], "not as the format says"),
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


# -- formats ------------------------------------------------------------------------------------


@pytest.mark.parametrize("minor", range(5))
def test_a_cell_without_an_id_has_the_same_one_each_time(minor):
    notebook = json.loads(jupyters([*three_cells(), nbformat.v4.new_code_cell("x = 1")]))
    notebook["nbformat_minor"] = minor
    for cell in notebook["cells"]:
        del cell["id"]
    data = json.dumps(notebook, indent=1).encode()
    ids = [cell.id for cell in parse_ipynb(data).cells]
    assert ids == [cell.id for cell in parse_ipynb(json.dumps(notebook).encode()).cells]
    after = edited_notebook(data, [Replace(ids[0], "y")])
    assert ids == [cell.id for cell in parse_ipynb(after).cells]
    nbformat.validate(json.loads(after))
    order = ["cell_type", "execution_count", "id", "metadata", "outputs", "source"]
    assert list(json.loads(after)["cells"][2]) == order


def test_an_id_that_an_older_format_must_not_have_is_made_valid_and_unique():
    notebook = json.loads(jupyters(three_cells())) | {"nbformat_minor": 4}
    for cell, name in zip(notebook["cells"], ["twice", "twice", "kept"], strict=True):
        cell["id"] = name
    data = json.dumps(notebook, indent=1).encode()
    ids = [cell.id for cell in parse_ipynb(data).cells]
    assert ids[2] == "kept" and "twice" not in ids
    nbformat.validate(json.loads(edited_notebook(data, [Delete(ids[2])])))


OLDER = {
    2: {
        "metadata": {"name": "old"},
        "nbformat": 2,
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "markdown", "source": "# é"},
                    {
                        "cell_type": "code",
                        "collapsed": False,
                        "input": ["x = 1\n", "x"],
                        "language": "python",
                        "outputs": [{"output_type": "pyout", "prompt_number": 2, "text": ["1"]}],
                        "prompt_number": 2,
                    },
                ]
            }
        ],
    }
}
OLDER[3] = OLDER[2] | {"nbformat": 3, "nbformat_minor": 0}
OLDER[3]["worksheets"] = [
    {
        "metadata": {},
        "cells": [
            {"cell_type": "heading", "level": 2, "metadata": {}, "source": "é"},
            {**OLDER[2]["worksheets"][0]["cells"][1], "metadata": {"a": 1}},
        ],
    }
]


@pytest.mark.parametrize("major", [2, 3])
def test_an_older_format_comes_out_as_4_5_with_what_its_cells_say(major):
    data = json.dumps(OLDER[major]).encode()
    read = parse_ipynb(data)
    assert (read.nbformat, read.data) == (major, data)
    assert [cell.id for cell in read.cells] == [cell.id for cell in parse_ipynb(data).cells]
    truth = nbformat.reads(data.decode(), as_version=4)
    truth.cells[0].source = "new"
    written = nbformat.reads(
        edited_notebook(data, [Replace(read.cells[0].id, "new")]), as_version=4
    )
    nbformat.validate(written)
    assert (written.nbformat, written.nbformat_minor) == (4, 5)
    for cell, was, known in zip(written.cells, truth.cells, read.cells, strict=True):
        assert cell == {**was, "id": known.id}


GOOD = jupyters(three_cells())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "It is empty"),
        (b" \n", "It is empty"),
        (b"print(1)", "not valid JSON: it does not begin with a brace (line 1)"),
        (b"[1]", "JSON, but no notebook"),
        (b"{}", "does not say its format"),
        (b'{"a": 1}', "does not say its format"),
        (b'{"nbformat": "4"}', "does not say its format"),
        (b'{"nbformat": 4, "nbformat_minor": 5}', "It has no cells"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "cells": {}}', "It has no cells"),
        (b'{"nbformat": 5, "cells": []}', "format 5; what can be read is 2 to 4"),
        (b'{"nbformat": 1, "cells": []}', "format 1; what can be read is 2 to 4"),
        (b'{"nbformat": 3, "metadata": {}}', "cannot be converted to format 4"),
        (b'{"nbformat": 3, "worksheets": 7}', "cannot be converted to format 4"),
        (GOOD[:-3], "it breaks off in line"),
        (GOOD[:300], "it breaks off in line"),
        (GOOD[:300].rstrip(b" \n"), "it breaks off in line"),
        (GOOD + b"{}", "something follows its end"),
        (GOOD.replace(b'"print', b"print"), "not valid JSON"),
        (GOOD.replace(b'"1\\n"', b'"1\n"'), "Invalid control character"),
        (GOOD.replace(b"\xc3\xa9", b"\xe9"), "not UTF-8"),
        (GOOD.decode().encode("utf-16"), "this is not UTF-8"),
        (GOOD.replace(b'"cell_type": "code"', b'"cell_type": "heading"'), "of no known kind"),
        (GOOD.replace(b'"source": [', b'"text": ['), "Cell 0 has no source"),
        (GOOD.replace(b'"print(x)"', b"1"), "neither text nor lines"),
        (GOOD.replace(b'"metadata": {}', b'"metadata": []', 1), "Cell 0 is not as the format"),
        (b'{"cells": [1], "nbformat": 4}', "a cell is no object"),
        (GOOD.replace(b'"tags": [', b'"deep": ' + b"[" * 100_000), "not valid JSON"),
    ],
)
def test_an_invalid_file_is_refused_with_its_reason_and_stays(data, said, tmp_path):
    logging.disable(logging.ERROR)  # nbformat says so, too
    path = tmp_path / "a.ipynb"
    path.write_bytes(data)
    with pytest.raises(UsageError) as refused:
        edit_file(path, [Insert(None, (NewFileCell("raw", ""),))])
    logging.disable(logging.NOTSET)
    assert said in refused.value.message
    assert path.read_bytes() == data


def edit_file(path, edits):
    """What a caller does: read, look, edit, write."""
    before = path.read_bytes()
    read = read_ipynb(path)
    assert all(isinstance(cell.source, str) for cell in read.cells)
    write_ipynb(path, before, edited_notebook(before, edits))


# -- the notebooks at hand ----------------------------------------------------------------------

PLACES = [*map(Path, site.getsitepackages()), Path(__file__).parents[3] / "notebooks"]
AT_HAND = sorted(path for place in PLACES for path in place.rglob("*.ipynb"))


@pytest.mark.filterwarnings("ignore::nbformat.warnings.DuplicateCellId")
@pytest.mark.parametrize("path", AT_HAND, ids=lambda path: path.name)
def test_a_notebook_at_hand_is_edited_or_nbformat_refuses_it_too(path, tmp_path):
    """Those of the installed packages and ours; kinds of cells from a later format are refused."""
    before = path.read_bytes()
    try:
        read = parse_ipynb(before, proven=True)
    except UsageError as error:
        assert "cell_type is 'future cell'" in error.message or not is_valid(before)
        return
    ids = [cell.id for cell in read.cells]
    target = next((one for one in ids[len(ids) // 2 :] if ids.count(one) == 1), None)
    edit = Replace(target, "new\né") if target else Insert(AT_END, (NewFileCell("raw", ""),))
    after = edited_notebook(before, [edit])
    (tmp_path / "a.ipynb").write_bytes(after)
    truth = nbformat.read(tmp_path / "a.ipynb", as_version=4)
    new_cells = parse_ipynb(after).cells
    assert [cell.source for cell in new_cells] == [cell.source for cell in truth.cells]
    assert [outputs(cell) for cell in new_cells] == [
        tuple(cell.get("outputs", ())) for cell in truth.cells
    ]
    for old, new in zip(read.cells, new_cells, strict=False):
        if old.id == target:
            assert new.source == "new\né"
        elif "id" in old.place.members:
            assert after[slice(*new.span)] == read.body[slice(*old.span)]
        else:
            assert without_id(new, after) == read.body[slice(*old.span)]
    assert is_valid(after) or not is_valid(before)


def is_valid(data):
    """Whether nbformat takes it."""
    try:
        nbformat.validate(nbformat.reads(data.decode(), as_version=4))
    except (ValueError, nbformat.ValidationError):
        return False
    return True


# -- large files --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """2,000 cells with 50 MB of outputs."""
    text = [f"{row} rain é\n" for row in range(1_700)]
    cells = [
        nbformat.v4.new_code_cell(f"x = {n}", id=f"cell-{n}", execution_count=n)
        for n in range(2_000)
    ]
    whole = json.loads(jupyters(cells))
    for cell in whole["cells"]:
        cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": text}]
    path = tmp_path_factory.mktemp("large") / "large.ipynb"
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False), encoding="utf-8")
    return path


@pytest.mark.parametrize("which", ["cell-1999", 1999])
def test_one_cell_of_a_large_file_takes_neither_long_nor_much_memory(large, which):
    """Some 80 ms where nothing else runs; the file's bytes and 6 MB of places."""
    size = large.stat().st_size
    assert size > 50e6
    started = time.perf_counter()
    assert read_ipynb(large).cell(which).source == "x = 1999"
    assert time.perf_counter() - started < 2
    tracemalloc.start()
    (output,) = outputs(read_ipynb(large).cell(which))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert output["text"].endswith("1699 rain é\n")
    assert most < size + 8e6


def test_one_cell_of_a_large_file_is_edited(large):
    before = large.read_bytes()
    after = edited_notebook(before, [Replace("cell-1000", "y")])
    old, new = parse_ipynb(before).cell("cell-1000"), parse_ipynb(after).cell("cell-1000")
    assert new.source == "y"
    assert after[: new.span[0]] == before[: old.span[0]]
    assert after[new.span[1] :] == before[old.span[1] :]


def test_an_edit_of_a_large_file_finds_what_is_no_json_within_outputs(large):
    before = large.read_bytes().replace(b'"7 rain', b"'7 rain", 1)
    with pytest.raises(UsageError, match=r"It is not valid JSON: Expecting value \(line 20\)"):
        edited_notebook(before, [Replace("cell-1000", "y")])


# -- writing ------------------------------------------------------------------------------------


def test_a_file_is_written_with_its_permissions_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_bytes(GOOD)
    path.chmod(0o640)
    edit_file(path, [Replace("set", "y")])
    assert read_ipynb(path).cell("set").source == "y"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_its_target_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    path, link = tmp_path / "there" / "a.ipynb", tmp_path / "link.ipynb"
    path.write_bytes(GOOD)
    link.symlink_to(path)
    edit_file(link, [Replace("set", "y")])
    assert link.is_symlink()
    assert read_ipynb(path).cell("set").source == "y"


@pytest.mark.parametrize("meanwhile", [GOOD + b"\n", GOOD[:-1], b"", GOOD.replace(b"x", b"y")])
def test_a_file_that_was_saved_meanwhile_is_not_written(meanwhile, tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_bytes(meanwhile)
    with pytest.raises(UsageError, match="saved by somebody else meanwhile"):
        write_ipynb(path, GOOD, edited_notebook(GOOD, [Replace("set", "y")]))
    assert path.read_bytes() == meanwhile


def test_a_file_that_is_gone_is_said_to_be(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_ipynb(tmp_path / "a.ipynb")
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        write_ipynb(tmp_path / "a.ipynb", b"", GOOD)


def test_a_write_that_fails_leaves_the_file_as_it_is(tmp_path, monkeypatch):
    path = tmp_path / "a.ipynb"
    path.write_bytes(GOOD)

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left"):
        edit_file(path, [Replace("set", "y")])
    assert path.read_bytes() == GOOD
    assert list(tmp_path.iterdir()) == [path]


def test_the_language_and_an_unknown_cell_are_told():
    spec = {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}
    read = parse_ipynb(jupyters(three_cells(), metadata=spec))
    assert (read.language, read.nbformat, read.nbformat_minor) == ("R", 4, 5)
    assert parse_ipynb(GOOD).language is None
    for which in (3, -1, "gone"):
        with pytest.raises(UsageError):
            read.cell(which)
