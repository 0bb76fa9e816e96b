"""`%agent keep`, `fix`, `explain`: in a real kernel, over the notebook's file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import v4

pytestmark = pytest.mark.kernel

SCRIPT = """
model = "scripted/test"
[[turn]]
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
arguments = { title = "fails", code = "1 / 0" }
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
arguments = { title = "works", code = "rain = [1, 2]\\nprint('seen')\\nsum(rain)" }
[[turn.response]]
say = "It is **3**."
[[turn]]
[[turn.response]]
say = "Explained."
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    cells = [
        v4.new_code_cell("load()", id="load-cell"),
        v4.new_code_cell("%%agent\nGo.", id="agents-cell"),
        v4.new_code_cell("after", id="after-cell"),
    ]
    path = tmp_path / "rain.ipynb"
    nbformat.write(v4.new_notebook(cells=cells), path)
    return path


@pytest.fixture
def here(agent: Callable[..., Any], notebook: Path) -> tuple[Any, Any]:
    return agent(SCRIPT, JPY_SESSION_NAME=str(notebook))


def said(body: bytes) -> str:
    """What the person said last."""
    messages = [item for item in json.loads(body)["input"] if item.get("role") == "user"]
    content = messages[-1]["content"]
    return content if isinstance(content, str) else content[0]["text"]


def read(path: Path) -> Any:
    found = nbformat.read(path, as_version=4)
    nbformat.validate(found)
    return found


def test_keep_puts_steps_and_answer_below_the_turns_cell_with_where_they_are_from(
    here: Any, notebook: Path
):
    kernel, _ = here
    kernel.run("%%agent\nGo.", cell_id="agents-cell")
    kept = kernel.run("%agent keep", cell_id="after-cell")
    assert kept.status == "ok" and "2 cells below the turn's own: 1 step and the answer" in (
        kept.text
    )
    cells = read(notebook).cells
    assert [cell.id for cell in cells][:2] == ["load-cell", "agents-cell"]
    step, answer = cells[2:4]
    assert step.source == "rain = [1, 2]\nprint('seen')\nsum(rain)"
    assert [output.output_type for output in step.outputs] == ["stream", "execute_result"]
    assert step.outputs[1].execution_count == step.execution_count
    assert (answer.cell_type, answer.source) == ("markdown", "It is **3**.")
    facts = step.metadata["inkernel"]
    assert facts["turn"] == 1 and facts["model"] == "scripted/test"
    assert facts["approved"] == {"decision": "allow", "by": "policy"}
    assert facts["tokens"]["input"] > 0 and len(facts["prompt_sha256"]) == 64
    assert facts["run"] == "out-2" and "run" not in answer.metadata["inkernel"]
    assert kernel.run(f"In[{step.execution_count}]").text.startswith('"rain = [1, 2]')


def test_keep_inserts_a_cell_once_and_again_after_it_was_deleted(here: Any, notebook: Path):
    kernel, _ = here
    kernel.run("%%agent\nGo.", cell_id="agents-cell")
    kernel.run("%agent keep", cell_id="after-cell")
    before = read(notebook)
    assert "has these cells already" in kernel.run("%agent keep", cell_id="after-cell").text
    assert read(notebook) == before
    cells = [cell for cell in before.cells if cell.source != "It is **3**."]
    nbformat.write(v4.new_notebook(cells=cells), notebook)
    kept = kernel.run("%agent keep", cell_id="after-cell").text
    assert "1 cell below the turn's own: the answer" in kept
    assert sorted(cell.source for cell in read(notebook).cells) == sorted(
        cell.source for cell in before.cells
    )


def test_keep_takes_steps_by_number(here: Any, notebook: Path):
    kernel, _ = here
    kernel.run("%%agent\nGo.", cell_id="agents-cell")
    kernel.run("%agent keep 1", cell_id="after-cell")
    step = read(notebook).cells[2]
    assert step.source == "1 / 0" and step.outputs[0].ename == "ZeroDivisionError"
    assert "no step 7" in kernel.run("%agent keep 7", cell_id="after-cell").evalue
    assert "names no steps" in kernel.run("%agent keep all", cell_id="after-cell").evalue


def test_keep_before_any_turn_says_so(here: Any):
    kernel, _ = here
    assert "There is no conversation yet" in kernel.run("%agent keep").evalue


def test_without_a_notebook_the_code_is_put_into_a_new_cell(agent: Any):
    kernel, _ = agent(SCRIPT)
    kernel.run("%%agent\nGo.")
    message = kernel.start("%agent keep")
    assert "in one new cell" in kernel.finish(message).text


def test_fix_says_which_cell_failed_and_how(here: Any, notebook: Path):
    kernel, server = here
    kernel.run("fine = 1")
    failed = kernel.run("undefined_name", cell_id="load-cell")
    assert failed.status == "error"
    assert kernel.run("%agent fix", cell_id="after-cell").status == "ok"
    request = said(server.requests[0])
    assert f"In [{failed.count}]: NameError: name 'undefined_name' is not defined" in request


def test_fix_without_a_failure_says_so(here: Any):
    kernel, _ = here
    kernel.run("fine = 1")
    assert "No cell of yours has failed" in kernel.run("%agent fix").evalue


@pytest.mark.parametrize("words", ["load", "#1"])
def test_explain_gives_the_cells_source(here: Any, words: str):
    kernel, server = here
    kernel.run(f"%agent explain {words}", cell_id="after-cell")
    assert "load()" in said(server.requests[0])


def test_explain_finds_what_ran_under_a_number_that_no_cell_has_now(here: Any):
    kernel, server = here
    ran = kernel.run("rain = 12", cell_id="load-cell")
    kernel.run("rain = 13", cell_id="load-cell")
    kernel.run(f"%agent explain {ran.count}", cell_id="after-cell")
    assert "rain = 12" in said(server.requests[0])
    assert "There is no cell '99'." in kernel.run("%agent explain 99", cell_id="after-cell").evalue


def test_explain_finds_a_cell_that_ran_where_there_is_no_notebook(agent: Any):
    kernel, server = agent(SCRIPT)
    ran = kernel.run("rain = 12")
    kernel.run(f"%agent explain {ran.count}")
    assert "rain = 12" in said(server.requests[0])
    assert "There is no cell '99'" in kernel.run("%agent explain 99").evalue
    assert "Which cell?" in kernel.run("%agent explain").evalue


def test_explain_takes_a_step_of_the_agent_and_names_a_prompt(agent: Any):
    kernel, server = agent(SCRIPT)
    assert kernel.run("%%agent\nGo.").count == 2
    assert "In [2] is your prompt of turn 1." in kernel.run("%agent explain 2").evalue
    assert kernel.run("%agent explain In [4]").status == "ok"
    assert "sum(rain)" in said(server.requests[-1])


def test_nbclient_keeps_and_explains_too(
    notebook: Path, scripted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
):
    nbclient = pytest.importorskip("nbclient")
    server = scripted(SCRIPT)
    monkeypatch.setenv("INKERNEL_BASE_URL", server.base_url)
    monkeypatch.setenv("INKERNEL_MODEL", "scripted/test")
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    lines = ("%load_ext inkernel", "%%agent\nGo.", "%agent keep", "%agent explain load")
    executed = v4.new_notebook(cells=list(map(v4.new_code_cell, lines)))
    nbclient.NotebookClient(executed, kernel_name="python3").execute()
    assert [cell.source for cell in read(notebook).cells[-2:]] == [
        "rain = [1, 2]\nprint('seen')\nsum(rain)",
        "It is **3**.",
    ]
    assert "load()" in said(server.requests[-1])
