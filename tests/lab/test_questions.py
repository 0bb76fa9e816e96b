"""A question with the evidence of a trial run, in a page: seen, answered, and gone from the saved
notebook."""

import sys
from typing import Any
from uuid import uuid4

import pytest

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="a trial run needs Landlock"),
]

LONG = "".join(f"x{n} = {n}\n" for n in range(60))
STEP = '''
[[turn]]
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
[turn.response.call.arguments]
title = "Save the table"
code = """{}far.write_text("rain")
print("saved")"""
[[turn.response]]
say = "That is all."
'''


@pytest.fixture
def page(jupyter: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A notebook whose three turns want to write outside of the workspace."""
    far = tmp_path_factory.mktemp("far") / "rain.txt"
    (jupyter.folder / "questions.toml").write_text(STEP.format(LONG) + STEP.format("") * 2)
    temporary = jupyter.folder / "temporary"
    temporary.mkdir(exist_ok=True)
    start = (
        f"import pathlib, tempfile\ntempfile.tempdir = {str(temporary)!r}\n"
        f"far = pathlib.Path({str(far)!r})\n"
        "%load_ext inkernel\n%agent model scripted:questions.toml"
    )
    name = f"{uuid4().hex}.ipynb"
    jupyter.write(name, start, *["%%agent\nSave it."] * 3)
    page = jupyter.open(name)
    page.run(0)
    page.far = far
    return page


def asked(page: Any, cell: int) -> tuple[str, str]:
    """Run a cell up to its question; the question, and the text above it."""
    page.start(cell)
    page.tab.locator(".jp-Stdin-input").wait_for()
    outputs = page.tab.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-OutputArea")
    return page.tab.locator(".jp-Stdin-prompt").inner_text(), outputs.inner_text()


def answer(page: Any, cell: int, word: str) -> str:
    """Answer, and wait for the end of the cell; all that it shows then."""
    page.tab.locator(".jp-Stdin-input").fill(word)
    page.tab.locator(".jp-Stdin-input").press("Enter")
    page.wait(page.ids()[cell])
    return page.shown(cell)


def test_a_question_shows_its_evidence_and_keeps_only_the_answer(page: Any):
    question, above = asked(page, 1)
    assert "The agent wants to run this step (62 lines" in question
    assert f"writes {page.far}" in question and "[y] once" in question
    assert "tried in a copy of your kernel" in above and f"write {page.far} (open)" in above
    assert not page.far.exists()
    # The code is long, so the page scrolls down to the question.
    page.tab.wait_for_function(
        """() => { const box = document.querySelector('.jp-Stdin-input').getBoundingClientRect();
             return box.top > 0 && box.bottom <= window.innerHeight; }"""
    )
    shown = answer(page, 1, "y")
    assert page.far.read_text() == "rain"
    assert f"allowed by you: write {page.far}" in shown and "saved" in shown
    assert "wants to run" not in shown and "[y] once" not in shown

    asked(page, 2)
    page.far.unlink()
    shown = answer(page, 2, "write it into the project")
    assert "denied · the person said: write it into the project" in shown
    assert f"write {page.far} (open)" in shown and "That is all." in shown
    assert "wants to run" not in shown and not page.far.exists()

    asked(page, 3)
    shown = answer(page, 3, "s")
    assert "TurnInterrupted: You stopped the turn" in shown
    assert "interrupted" in shown and "wants to run" not in shown and not page.far.exists()
