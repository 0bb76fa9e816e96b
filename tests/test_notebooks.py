"""The demo notebooks, executed as `make demo` does it: no error, the figure, twice the same."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def execute(notebook: Path, output: Path) -> Any:
    command = [sys.executable, "-m", "inkernel", "run", str(notebook), "--output", str(output)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=output.parent)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return nbformat.read(output, as_version=4)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_demo_notebook_runs_without_error_and_twice_the_same(path: Path, tmp_path: Path):
    pytest.importorskip("mcp" if path.stem == "mcp" else "matplotlib")
    books = [execute(path, tmp_path / name) for name in ("one.ipynb", "two.ipynb")]
    for book in books:
        nbformat.validate(book)
        for output in (output for cell in book.cells for output in cell.get("outputs", [])):
            assert output["output_type"] != "error"
            output.get("metadata", {}).clear()  # session, seconds: what may differ
    assert books[0] == books[1]


def test_the_quickstart_shows_its_figure_its_real_mistake_and_its_answer(tmp_path: Path):
    pytest.importorskip("matplotlib")
    book = execute(ROOT / "notebooks" / "quickstart.ipynb", tmp_path / "out.ipynb")
    (turn,) = next(cell for cell in book.cells if cell.id == "ask").outputs
    html, markdown = turn["data"]["text/html"], turn["data"]["text/markdown"]
    assert "data:image/png;base64," in html
    assert "Can only use .dt accessor with datetimelike values" in html
    assert "was the wettest month" in markdown and "scripted" in markdown


@pytest.mark.parametrize(
    ("name", "dialect"), [("long-session", "messages"), ("quickstart", "chat")]
)
def test_a_demo_notebook_runs_over_another_api(
    name: str, dialect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("INKERNEL_DIALECT", dialect)
    book = execute(ROOT / "notebooks" / f"{name}.ipynb", tmp_path / "out.ipynb")
    shown = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert all(output["output_type"] != "error" for output in shown)


def test_demo_notebooks_are_kept_without_outputs():
    for path in NOTEBOOKS:
        book = nbformat.read(path, as_version=4)
        assert not any(cell.get("outputs") for cell in book.cells)


def test_cells_and_steps_are_counted_in_one_row(tmp_path: Path):
    pytest.importorskip("matplotlib")
    book = execute(ROOT / "notebooks" / "live-kernel.ipynb", tmp_path / "out.ipynb")
    counts = {cell.id: cell.execution_count for cell in book.cells if cell.cell_type == "code"}
    turn = next(cell for cell in book.cells if cell.id == "ask-look").outputs[0]
    assert f"In [{counts['ask-look'] + 1}]" in turn["data"]["text/plain"]
    assert counts["history"] == counts["ask-look"] + 2


@pytest.mark.skipif(sys.platform != "linux", reason="a trial run needs Landlock")
def test_a_trial_run_is_denied_where_nobody_answers_and_allowed_by_a_rule(tmp_path: Path):
    book = execute(ROOT / "notebooks" / "approvals-and-trial-runs.ipynb", tmp_path / "out.ipynb")
    shown = {cell.id: str(cell.get("outputs")) for cell in book.cells}
    assert "write /var/tmp/inkernel-demo-rain.csv (open)" in shown["ask-far"]
    assert "nobody can answer here" in shown["ask-far"]
    assert "denied" not in shown["ask-near"] and "denied" not in shown["ask-again"]
