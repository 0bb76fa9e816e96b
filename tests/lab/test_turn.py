"""A turn that works on the notebook it is in, and what is kept of it, in a page."""

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import nbformat
import pytest

pytestmark = pytest.mark.timeout(300)

UPDATE = os.environ.get("UPDATE_IMAGES")
IMAGES = Path(__file__).parents[2] / "docs" / "images"
SCRIPT = '''
model = "notebook"
[[turn]]
[[turn.response]]
reasoning = "I look at the cells, then I write the analysis below."
[[turn.response.call]]
name = "notebook_read"
arguments = {}
[[turn.response]]
[[turn.response.call]]
name = "notebook_edit"
[turn.response.call.arguments]
edits = [
  { op = "insert", kind = "markdown", source = "## Rain by month" },
  { op = "insert", source = """import matplotlib.pyplot as plt
plt.figure(figsize=(5, 2))
plt.bar(["Jan", "Feb", "Mar"], rain);""" },
  { op = "replace", cell = "#3", old = "rian", source = "rain" },
]
[[turn.response]]
[[turn.response.call]]
name = "notebook_run"
arguments = { cells = ["#4", "#5"] }
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
[turn.response.call.arguments]
title = "Add it up"
code = "sum(rain)"
[[turn.response]]
say = "Below stand a heading and a figure; the misspelt name in the last cell is mended: **6 mm**."
'''


@pytest.fixture
def page(jupyter: Any) -> Any:
    """A notebook with a cell that fails, after a turn that worked on it."""
    pytest.importorskip("matplotlib")
    (jupyter.folder / "script.toml").write_text(SCRIPT, encoding="utf-8")
    name = "rain.ipynb" if UPDATE else f"{uuid4().hex}.ipynb"
    start = "%load_ext inkernel\n%agent model scripted:script.toml\nrain = [1, 2, 3]"
    ask = "%%agent\nPlot the rain in cells of their own, and mend the last cell."
    jupyter.write(name, start, ask, "total = sum(rian)\ntotal")
    page = jupyter.open(name)
    page.run(0)
    page.run(1)
    page.path = jupyter.folder / name
    return page


def counts(page: Any) -> list[int | None]:
    return page.of("notebook.widgets.map(cell => cell.model.executionCount ?? null)")


def test_a_turn_writes_mends_and_runs_cells_where_they_stand(page: Any):
    sources = page.sources()
    assert sources[2] == "## Rain by month" and sources[3].startswith("import matplotlib")
    assert sources[4] == "total = sum(rain)\ntotal"
    assert page.shown(4) == "6"
    assert "image/png" in page.outputs(3)[0]["data"]
    assert "<img" not in str(page.outputs(1)[0]["data"]), "a figure stands in its own cell alone"
    # The steps have numbers of their own; the agent's cell keeps the one it began with.
    assert counts(page) == [1, 2, None, 3, 4]
    if UPDATE and "/lab/" in page.tab.url:
        page.tab.set_viewport_size({"width": 1100, "height": 1480})
        page.command("application:toggle-left-area")
        if (news := page.tab.get_by_role("button", name="No", exact=True)).is_visible():
            news.click()
        page.tab.wait_for_timeout(1000)
        page.tab.screenshot(path=IMAGES / "notebook.png")
    assert page.run(4) == "6" and counts(page)[4] == 6


def test_an_undo_takes_the_agents_edits_back(page: Any):
    page.of("void (notebook.activeCellIndex = 0)")
    page.of("void (notebook.mode = 'command')")
    page.command("notebook:undo-cell-action")
    assert "## Rain by month" in page.sources()
    page.command("notebook:undo-cell-action")
    assert page.sources()[2] == "total = sum(rain)\ntotal"


def test_what_is_kept_stands_below_the_agents_cell_and_says_where_it_is_from(page: Any):
    page.of("void (notebook.activeCellIndex = 4)")
    page.command("notebook:insert-cell-below")
    page.write(5, "%agent keep")
    page.run(5)
    kept = page.sources()[2:4]
    assert kept[0] == "sum(rain)" and kept[1].startswith("Below stand")
    assert page.shown(2) == "6"
    page.command("docmanager:save")
    page.tab.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    read = nbformat.read(page.path, 4)
    nbformat.validate(read)
    assert read.cells[2].metadata["inkernel"]["model"] == "notebook"
