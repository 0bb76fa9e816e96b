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
from inkernel.kernel_ext import ipynb_scan
from inkernel.kernel_ext.ipynb import outputs, parse_ipynb, read_ipynb, write_ipynb
from inkernel.kernel_ext.ipynb_edits import (
    AT_END,
    Delete,
    Insert,
    Move,
    NewCell,
    Replace,
    SetOutputs,
    edited,
)

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
def notebooks(draw, minors=st.integers(0, 5)):
    """A notebook as JSON has it; keys in any order."""
    minor = draw(minors)
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
    bom = draw(st.sampled_from([b"", b"", ipynb_scan.BOM]))

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
    return json.loads(data.removeprefix(ipynb_scan.BOM))


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
    by_lines = ipynb_scan.by_lines(data)
    assert by_lines is None or by_lines == ipynb_scan.by_tokens(data)


@given(notebooks(st.just(5)), st.sampled_from([1, 2, 4]), st.sampled_from(["\n", "\r\n"]))
def test_what_jupyter_writes_is_read_by_lines(notebook, indent, newline):
    text = json.dumps(notebook, indent=indent, ensure_ascii=False).replace("\n", newline)
    assert ipynb_scan.by_lines(text.encode("utf-8", "backslashreplace")) is not None


@given(notebooks(), layouts(), st.data())
def test_what_is_cut_or_changed_is_refused_or_read_as_json_has_it(notebook, layout, data):
    text = layout(notebook).removeprefix(ipynb_scan.BOM)
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


def test_a_text_whose_lines_mislead_is_read_as_json_has_it():
    assert len(ipynb_scan.by_lines(MISLEADING).cells) == 2
    (cell,) = parse_ipynb(MISLEADING).cells
    assert cell.source == "the one cell's"
    changed = json.loads(edited(MISLEADING, [Replace(cell.id, "y")]))
    assert [cell["source"] for cell in changed["cells"]] == [["y"]]


# -- edits --------------------------------------------------------------------------------------

new_cells = st.builds(
    NewCell,
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
    after = edited(before, edits)
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
