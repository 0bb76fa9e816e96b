"""A notebook's text in any layout is read as JSON has it, or refused."""

import json

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.errors import UsageError
from inkernel.kernel_ext.notebook.file import scan
from inkernel.kernel_ext.notebook.file.edits import Replace, edited_notebook
from inkernel.kernel_ext.notebook.file.ipynb import outputs, parse_ipynb

from .layouts import layouts, notebooks


def text_of(cell):
    """A cell's source as one text."""
    return "".join(cell["source"])


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
