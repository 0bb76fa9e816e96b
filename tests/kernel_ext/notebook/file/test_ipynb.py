"""A notebook's file: of any format, at hand, large; read, and written whole or not at all."""

import asyncio
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

from inkernel.agent.errors import UsageError
from inkernel.kernel_ext.notebook.file.document import FileDocument
from inkernel.kernel_ext.notebook.file.edits import (
    AT_END,
    Delete,
    Insert,
    NewFileCell,
    Replace,
    edited_notebook,
)
from inkernel.kernel_ext.notebook.file.ipynb import outputs, parse_ipynb, read_ipynb, write_ipynb

from .layouts import GOOD, jupyters, three_cells, without_id

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


@pytest.mark.parametrize("kind", ["heading", "html", "sql", ""])
def test_a_cell_of_an_unknown_kind_is_read_and_the_others_are_edited(kind):
    data = GOOD.replace(b'"cell_type": "code"', b'"cell_type": "%s"' % kind.encode())
    cells = parse_ipynb(data).cells
    assert kind in [cell.kind for cell in cells] and all(cell.source for cell in cells)
    known = next(cell for cell in cells if cell.kind == "markdown")
    after = parse_ipynb(edited_notebook(data, [Replace(known.id, "y")]))
    assert [cell.kind for cell in after.cells] == [cell.kind for cell in cells]


def test_an_id_that_an_older_format_must_not_have_is_made_valid_and_unique():
    notebook = json.loads(jupyters(three_cells())) | {"nbformat_minor": 4}
    for cell, name in zip(notebook["cells"], ["twice", "twice", "kept"], strict=True):
        cell["id"] = name
    data = json.dumps(notebook, indent=1).encode()
    ids = [cell.id for cell in parse_ipynb(data).cells]
    assert ids[2] == "kept" and "twice" not in ids
    nbformat.validate(json.loads(edited_notebook(data, [Delete(ids[2])])))


def with_ids(*ids: str) -> bytes:
    """Three cells with these ids."""
    notebook = json.loads(jupyters(three_cells()))
    for cell, name in zip(notebook["cells"], ids, strict=True):
        cell["id"] = name
    return json.dumps(notebook, indent=1).encode()


@pytest.mark.parametrize("at", range(3))
def test_of_cells_with_the_same_id_each_is_edited_and_the_others_keep_their_bytes(at):
    data = with_ids("same", "same", "same")
    before = parse_ipynb(data)
    ids = [cell.id for cell in before.cells]
    assert len({*ids, "same"}) == 4 and {cell.shared for cell in before.cells} == {"same"}
    after = parse_ipynb(edited_notebook(data, [Replace(ids[at], "y")]))
    assert [cell.id for cell in after.cells] == ids
    for other in {0, 1, 2} - {at}:
        old, new = before.cell(other), after.cell(other)
        assert after.body[slice(*new.span)] == data[slice(*old.span)]
    assert after.cell(at).source == "y"


def test_the_last_cell_of_an_id_keeps_its_name_and_its_bytes_while_others_are_edited(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_bytes(with_ids("same", "same", "own"))
    document = FileDocument(path)
    first, second, own = asyncio.run(document.cells())
    kept = parse_ipynb(path.read_bytes()).cell(1)
    asyncio.run(document.delete(first.id, first.source))
    asyncio.run(document.replace(own.id, "y", own.source))
    assert [cell.id for cell in asyncio.run(document.cells())] == [second.id, "own"]
    after = parse_ipynb(path.read_bytes()).cell("same")
    assert after.body[slice(*after.span)] == kept.body[slice(*kept.span)]
    asyncio.run(document.replace(second.id, "z", second.source))
    assert asyncio.run(document.cells())[0].source == "z"


@pytest.mark.parametrize("ids", [("a", "a", "b"), ("a", "b", "a"), ("", "", "")])
def test_an_id_that_several_cells_have_names_none_of_them(ids):
    with pytest.raises(UsageError, match=r"cells have the id .*: name one by its number"):
        parse_ipynb(with_ids(*ids)).cell(ids[0])


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


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "It is empty"),
        (b" \n", "It is empty"),
        (b"print(1)", "not valid JSON: it does not begin with a brace (line 1)"),
        (b"[1]", "JSON, but no notebook"),
        (b"{}", "no format number"),
        (b'{"a": 1}', "no format number"),
        (b'{"nbformat": "4"}', "no format number"),
        (b'{"nbformat": 4, "nbformat_minor": 5}', "It has no list of cells"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "cells": {}}', "It has no list of cells"),
        (b'{"nbformat": 5, "cells": []}', "format 5. Only 2 to 4 can be read"),
        (b'{"nbformat": 1, "cells": []}', "format 1. Only 2 to 4 can be read"),
        (b'{"nbformat": 3, "metadata": {}}', "cannot be converted to format 4"),
        (b'{"nbformat": 3, "worksheets": 7}', "cannot be converted to format 4"),
        (GOOD[:-3], "it breaks off in its last line"),
        (GOOD[:300], "it breaks off in its last line"),
        (GOOD[:300].rstrip(b" \n"), "it breaks off in its last line"),
        (GOOD + b"{}", "something follows its end"),
        (GOOD.replace(b'"print', b"print"), "not valid JSON"),
        (GOOD.replace(b'"1\\n"', b'"1\n"'), "Invalid control character"),
        (GOOD.replace(b"\xc3\xa9", b"\xe9"), "not UTF-8"),
        (GOOD.decode().encode("utf-16"), "this is not UTF-8"),
        (GOOD.replace(b'"cell_type": "code"', b'"cell_type": 1'), "has no kind"),
        (GOOD.replace(b'"source": [', b'"text": ['), "Cell 0 has no source"),
        (GOOD.replace(b'"print(x)"', b"1"), "neither text nor lines"),
        (GOOD.replace(b'"metadata": {}', b'"metadata": []', 1), "Cell 0 has an invalid member"),
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

PLACES = [*map(Path, site.getsitepackages()), Path(__file__).parents[4] / "notebooks"]
AT_HAND = sorted(path for place in PLACES for path in place.rglob("*.ipynb"))


@pytest.mark.filterwarnings("ignore::nbformat.warnings.DuplicateCellId")
@pytest.mark.parametrize("path", AT_HAND, ids=lambda path: path.name)
def test_a_notebook_at_hand_is_edited_or_nbformat_refuses_it_too(path, tmp_path):
    """Those of the installed packages and ours."""
    before = path.read_bytes()
    try:
        read = parse_ipynb(before, proven=True)
    except UsageError:
        assert not is_valid(before)
        return
    alone = [cell.id for cell in read.cells[len(read.cells) // 2 :] if not cell.shared]
    target = alone[0] if alone else None
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
    started = time.process_time()
    assert read_ipynb(large).cell(which).source == "x = 1999"
    assert time.process_time() - started < 5
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


def test_the_format_and_an_unknown_cell_are_told():
    read = parse_ipynb(GOOD)
    assert (read.nbformat, read.nbformat_minor) == (4, 5)
    for which in (3, -1, "gone"):
        with pytest.raises(UsageError):
            read.cell(which)
