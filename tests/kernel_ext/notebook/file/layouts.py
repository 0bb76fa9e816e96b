"""Notebooks as JSON has them, their files in any layout, and what Jupyter writes. Knows no test."""

import json

import nbformat
from hypothesis import strategies as st

from inkernel.kernel_ext.notebook.file import scan

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


def without_id(cell, body):
    """A cell's bytes, without those of its id."""
    start, end = cell.span
    member = cell.place.members["id"]
    follower = min(m.at for m in cell.place.members.values() if m.at > member.at)
    return body[start : member.at] + body[follower:end]


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


GOOD = jupyters(three_cells())
