"""A headless turn in the notebook that it was given: read, edited, run, saved. Real kernels."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import v4

from inkernel.kernel_ext.notebook.file.ipynb import Cell, outputs, read_ipynb

from .playing import COMMAND, call, inkernel, script

DATA = Path(__file__).parent / "data"
LANGUAGES = {
    "R": {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}},
    "julia": {
        "kernelspec": {"name": "julia-1.10", "display_name": "Julia 1.10.4"},
        "language_info": {"name": "julia"},
    },
    "a language that it does not name": {"kernelspec": {"name": "ir", "display_name": "R"}},
}


def code(*sources: str) -> list[Any]:
    return [v4.new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(sources, 1)]


def write(path: Path, cells: list[Any], **metadata: Any) -> bytes:
    nbformat.write(v4.new_notebook(cells=cells, metadata=metadata), path)
    return path.read_bytes()


@pytest.fixture
def say(scripted: Callable[[str], Any], tmp_path: Path) -> Callable[..., Any]:
    """Say something about `in.ipynb` to a scripted agent. Returns its server, too."""

    def run(text: str, *more: str, command: tuple[str, ...] = ("exec", "--notebook")) -> Any:
        server = scripted(text)
        about = ("--base-url", server.base_url, "--model", "scripted/test")
        prompt = ("Go.",) if command[0] == "exec" else ()
        ran = inkernel(*command, "in.ipynb", *about, *more, *prompt, cwd=tmp_path)
        assert "Traceback" not in ran.stderr
        return ran, [body.decode() for body in server.requests]

    return run


def bytes_of(path: Path) -> dict[str, bytes]:
    """Each cell's own bytes."""
    read = read_ipynb(path)
    return {cell.id: read.body[slice(*cell.span)] for cell in read.cells}


def shown(cell: Cell) -> str:
    return "".join(output.get("text", "") for output in outputs(cell))


# -- the file and the output --------------------------------------------------------------------


def test_a_notebook_of_old_pandas_is_repaired_and_its_other_cells_keep_their_bytes(say, tmp_path):
    pytest.importorskip("pandas", minversion="3")
    shutil.copy(DATA / "coffee.ipynb", tmp_path / "in.ipynb")
    before = bytes_of(tmp_path / "in.ipynb")
    ran, requests = say((DATA / "repair.toml").read_text("utf-8"), "--output", "fixed.ipynb")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == (
        "Cell #6, In [3], failed: AttributeError: 'DataFrame' object has no attribute 'append'"
        " (the cells below it are not run)\n"
    )
    assert "object has no attribute 'append'" in requests[0]
    assert bytes_of(tmp_path / "in.ipynb") == before

    fixed = nbformat.read(tmp_path / "fixed.ipynb", as_version=4)
    nbformat.validate(fixed)
    after = bytes_of(tmp_path / "fixed.ipynb")
    repaired = {"sunday", "first-row", "mean", "taken", "best"}
    assert {name: after[name] for name in before if name not in repaired} == {
        name: text for name, text in before.items() if name not in repaired
    }
    old, new = (read_ipynb(tmp_path / name) for name in ("in.ipynb", "fixed.ipynb"))
    for name in repaired:
        assert shown(new.cell(name)) == shown(old.cell(name))
    assert new.cell("best").source == old.cell("best").source
    assert [cell.source for cell in new.cells if cell.id not in before] == [
        "*Repaired for pandas 3.*",
        "%load_ext inkernel",
        "%%agent\nGo.",
    ]

    del fixed.cells[-2:]
    nbformat.write(fixed, tmp_path / "again.ipynb")
    again = inkernel("run", "again.ipynb", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")


EDITS = [
    {"op": "replace", "cell": "#2", "old": "1", "source": "2"},
    {"op": "insert", "after": "#1", "kind": "markdown", "source": "Said."},
]


def test_without_an_output_the_file_gets_what_the_agent_did(say, tmp_path):
    write(
        tmp_path / "in.ipynb", [v4.new_markdown_cell("# A", id="title"), *code("x = 1\nprint(x)")]
    )
    ran, requests = say(
        script(
            call("notebook_read"),
            call("notebook_edit", edits=EDITS),
            call("notebook_run", cells=["cell-1"]),
            call("notebook_read", query="print"),
        )
    )
    assert ran.returncode == 0, ran.stderr
    assert "Written: in.ipynb" in ran.stdout
    assert "#2 cell-1 code In [1]: x = 1" in requests[1]
    assert str(tmp_path / "in.ipynb") in requests[0]
    assert "print(x)" in requests[-1] and "inkernel-" not in requests[-1]
    saved = nbformat.read(tmp_path / "in.ipynb", as_version=4)
    nbformat.validate(saved)
    assert [cell.source for cell in saved.cells] == ["# A", "Said.", "x = 2\nprint(x)"]
    assert saved.cells[2].outputs[0].text == "2\n"


def test_a_question_changes_no_file(say, tmp_path):
    before = write(tmp_path / "in.ipynb", code("print(1)"))
    ran, requests = say(script(call("notebook_read", cells=["#1"])))
    assert ran.returncode == 0, ran.stderr
    assert "print(1)" in requests[1] and "stdout" in requests[1]
    assert (tmp_path / "in.ipynb").read_bytes() == before
    assert [path.name for path in tmp_path.glob("*.ipynb")] == ["in.ipynb"]


def test_a_run_executes_what_its_agent_made_of_the_cells(say, tmp_path):
    cells = ["%load_ext inkernel", "%%agent\nGo.", "print('old')", "print('gone')", "print('end')"]
    before = write(tmp_path / "in.ipynb", code(*cells))
    edits = [
        {"op": "replace", "cell": "#3", "old": "old", "source": "new"},
        {"op": "insert", "source": "print('added')"},
        {"op": "delete", "cell": "#4"},
    ]
    play = script(call("notebook_read", cells=["#4"]), call("notebook_edit", edits=edits))
    ran, _ = say(play, "--output", "out.ipynb", command=("run",))
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "in.ipynb").read_bytes() == before
    new = read_ipynb(tmp_path / "out.ipynb")
    assert [(cell.source, shown(cell)) for cell in new.cells][2:] == [
        ("print('added')", ""),
        ("print('new')", "new\n"),
        ("print('end')", "end\n"),
    ]


# -- a cell that fails --------------------------------------------------------------------------

FAILING = ["x = 1", "raise ValueError('one\\ntwo \\x1b[31mred')", "open('ran', 'w').close()"]


def test_a_failing_cell_is_told_to_the_agent_and_in_one_line(say, tmp_path):
    write(tmp_path / "in.ipynb", code(*FAILING))
    ran, requests = say(script(call("inspect", names=["x"])), "--output", "out.ipynb")
    assert ran.returncode == 0
    assert ran.stderr == (
        "Cell #2, In [2], failed: ValueError: one two red (the cells below it are not run)\n"
    )
    assert "ValueError: one" in requests[0] and "x = 1" in requests[0]
    assert not (tmp_path / "ran").exists()
    saved = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert saved.cells[1].outputs[0].ename == "ValueError"
    assert saved.cells[2].execution_count is None and "Done." in str(saved.cells[-1].outputs)


@pytest.mark.parametrize("command", [("exec", "--stop-on-error", "--notebook"), ("run",)])
def test_a_failing_cell_ends_the_run_where_one_asks_for_it(say, tmp_path, command):
    write(tmp_path / "in.ipynb", code(*FAILING))
    ran, requests = say(script(), "--output", "out.ipynb", command=command)
    assert (ran.returncode, requests) == (1, [])
    assert ran.stderr == "Cell #2, In [2], failed: ValueError: one two red\n"
    assert not (tmp_path / "ran").exists()
    saved = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert saved.cells[1].outputs[0].ename == "ValueError"


def test_a_turn_of_the_notebook_that_fails_fails_the_run(say, tmp_path):
    write(tmp_path / "in.ipynb", code("%load_ext inkernel", "%%agent\nGo."))
    fault = "fault = {status = 404, times = 1}"
    ran, requests = say(f"[[turn]]\n[[turn.response]]\nsay = 'Done.'\n{fault}\n")
    assert ran.returncode == 1 and len(requests) == 2
    assert ran.stderr.startswith("Cell #2, In [2], failed: ModelNotFoundError")
    assert "Done." in ran.stdout


# -- languages and formats ----------------------------------------------------------------------


@pytest.mark.parametrize(("language", "metadata"), LANGUAGES.items(), ids=LANGUAGES)
@pytest.mark.parametrize("command", [("exec", "--notebook"), ("run",)], ids=["exec", "run"])
def test_a_notebook_of_another_language_is_refused_and_nothing_is_written(
    say, tmp_path, command, language, metadata
):
    before = write(tmp_path / "in.ipynb", code("x <- 1"), **metadata)
    ran, requests = say(script(), "--output", "sub/out.ipynb", command=command)
    assert (ran.returncode, ran.stdout, requests) == (2, "", [])
    assert f"in.ipynb is in {language}, for the kernel" in ran.stderr
    assert len(ran.stderr.splitlines()) == 2
    assert (tmp_path / "in.ipynb").read_bytes() == before
    assert not (tmp_path / "sub").exists()


@pytest.mark.parametrize("name", ["conda-env-foo-py", "python2", "my-venv"])
def test_another_kernel_of_python_is_replaced_by_ours_and_this_is_told(say, tmp_path, name):
    spec = {"name": name, "display_name": "Mine", "language": "python"}
    write(tmp_path / "in.ipynb", code("print(1)"), kernelspec=spec)
    ran, _ = say(script(), "--output", "out.ipynb", command=("run",))
    assert ran.returncode == 0
    assert ran.stderr.startswith(f"in.ipynb asks for the kernel {name!r}. It runs in this Python: ")
    assert nbformat.read(tmp_path / "out.ipynb", as_version=4).metadata.kernelspec == spec


@pytest.mark.parametrize("form", ["3.0", "4.0", "4.2", "4.4"])
def test_an_older_format_comes_out_valid_and_is_told(say, tmp_path, form):
    major, minor = map(int, form.split("."))
    cells = [v4.new_markdown_cell("# A"), *code("x = 1\nprint(x)")]
    old = v4.new_notebook(cells=cells)
    for cell in old.cells:
        del cell["id"]
    old["nbformat_minor"] = minor
    if major == 3:
        old = nbformat.convert(old, 3)
    (tmp_path / "in.ipynb").write_text(json.dumps(old), "utf-8")
    edits = [{"op": "replace", "cell": "#2", "old": "1", "source": "2"}]
    play = script(call("notebook_edit", edits=edits), call("notebook_run", cells=["#2"]))
    ran, _ = say(play, "--output", "out.ipynb")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == f"out.ipynb is in format 4.5: in.ipynb was in format {form}.\n"
    raw = json.loads((tmp_path / "out.ipynb").read_text("utf-8"))
    assert (raw["nbformat"], raw["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in raw["cells"]]
    assert len(set(ids)) == 4
    nbformat.validate(raw)
    assert [cell["id"] for cell in raw["cells"]] == ids, "nbformat has repaired nothing"
    assert raw["cells"][1]["outputs"][0]["text"] == ["2\n"]


def test_cells_that_share_an_id_are_told_apart(say, tmp_path):
    text = write(tmp_path / "in.ipynb", code("print('a')", "print('b')")).decode()
    (tmp_path / "in.ipynb").write_text(text.replace("cell-2", "cell-1"), "utf-8")
    edits = [{"op": "replace", "cell": "#2", "old": "b", "source": "c"}]
    play = script(call("notebook_edit", edits=edits), call("notebook_run", cells=["#2"]))
    ran, _ = say(play, "--output", "out.ipynb")
    assert ran.returncode == 0, ran.stderr
    new = read_ipynb(tmp_path / "out.ipynb")
    assert not any(cell.shared for cell in new.cells)
    assert [shown(cell) for cell in new.cells[:2]] == ["a\n", "c\n"]


# -- saving -------------------------------------------------------------------------------------


def test_where_nothing_can_be_written_nothing_is_run(say, tmp_path):
    write(tmp_path / "in.ipynb", code("open('ran', 'w').close()"))
    (tmp_path / "folder").mkdir()
    ran, _ = say(script(), "--output", "folder", command=("run",))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "folder cannot be written" in ran.stderr and not (tmp_path / "ran").exists()


def test_a_notebook_that_was_saved_meanwhile_is_not_overwritten_and_the_result_is_kept(
    say, tmp_path
):
    theirs = "open('in.ipynb', 'a').write(' ')"
    before = write(tmp_path / "in.ipynb", code("x = 1", theirs))
    edits = [{"op": "insert", "after": "start", "kind": "markdown", "source": "Mine."}]
    ran, _ = say(script(call("notebook_edit", edits=edits)))
    assert ran.returncode == 2 and "saved by somebody else meanwhile" in ran.stderr
    assert (tmp_path / "in.ipynb").read_bytes() == before + b" "
    kept = Path(ran.stderr.splitlines()[-1].removeprefix("The result is kept in ")[:-1])
    assert read_ipynb(kept).cells[0].source == "Mine."
    shutil.rmtree(kept.parent)


def test_outputs_that_no_format_allows_are_replaced_by_the_reason(say, tmp_path):
    bad = ["{'text/plain': {1: None}}", "{'image/png': None}", "{'text/html': 3.5}"]
    cells = [f"display({each}, raw=True)" for each in bad]
    write(tmp_path / "in.ipynb", code(*cells, "print('good')"))
    ran, _ = say(script(), "--output", "out.ipynb", command=("run",))
    assert ran.returncode == 0, ran.stderr
    saved = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    nbformat.validate(saved)
    for cell in saved.cells[:3]:
        assert "does not follow the notebook format" in cell.outputs[0].text
    assert saved.cells[3].outputs[0].text == "good\n"


def test_a_prompt_without_a_notebook_edits_its_output(scripted, tmp_path):
    edits = [{"op": "insert", "kind": "markdown", "source": "Mine."}]
    server = scripted(script(call("notebook_edit", edits=edits)))
    about = ("--base-url", server.base_url, "--model", "scripted/test", "--output", "out.ipynb")
    ran = inkernel("exec", *about, "Go.", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    saved = read_ipynb(tmp_path / "out.ipynb")
    assert [cell.source for cell in saved.cells][1:] == ["%%agent\nGo.", "Mine."]


def test_a_prompt_without_any_notebook_does_not_edit_that_of_another_kernel(scripted, tmp_path):
    before = write(tmp_path / "open.ipynb", code("x = 1"))
    edits = [{"op": "insert", "kind": "markdown", "source": "Mine."}]
    server = scripted(script(call("notebook_edit", edits=edits)))
    about = ("--base-url", server.base_url, "--model", "scripted/test")
    environ = {**os.environ, "JPY_SESSION_NAME": str(tmp_path / "open.ipynb")}
    ran = inkernel("exec", *about, "Go.", cwd=tmp_path, env=environ)
    assert ran.returncode == 0, ran.stderr
    assert "nothing was changed" in server.requests[1].decode()
    assert (tmp_path / "open.ipynb").read_bytes() == before


def test_a_signal_in_a_cell_before_the_prompt_is_told_once(tmp_path):
    write(tmp_path / "in.ipynb", code("open('ran', 'w').close()\nwhile True: pass", "x = 1"))
    with subprocess.Popen(
        [*COMMAND, "exec", "--notebook", "in.ipynb", "Go."],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not (tmp_path / "ran").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (143, "Ended by SIGTERM.\n")
