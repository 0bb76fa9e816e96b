"""An answer that its server takes back, or that breaks off, in a page and in the saved notebook."""

from typing import Any
from uuid import uuid4

import pytest

pytestmark = pytest.mark.timeout(300)

SCRIPT = """
pace = 0.05
[[turn]]
on = "refused"
[[turn.response]]
say = "The wettest month was November, and July was the driest of all."
fault = { event = "incomplete", code = "content_filter" }
[[turn]]
on = "breaks"
[[turn.response]]
say = "The wettest month was November, and July was the driest of all."
fault = { after = 12, times = 1 }
"""


@pytest.fixture
def page(jupyter: Any) -> Any:
    """A notebook with an answer that is refused, and one that breaks off once."""
    (jupyter.folder / "withdrawn.toml").write_text(SCRIPT, encoding="utf-8")
    name = f"{uuid4().hex}.ipynb"
    start = "%load_ext inkernel\n%agent model scripted:withdrawn.toml"
    jupyter.write(name, start, "%%agent\nThis is refused.", "%%agent --new\nThis breaks off.")
    page = jupyter.open(name)
    page.run(0)
    return page


def seen(page: Any, cell: int) -> str:
    """The text of a cell's output that a person sees."""
    return (
        page.tab.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-OutputArea").inner_text()
    )


def saved(page: Any) -> None:
    page.command("docmanager:save")
    page.tab.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")


def test_a_refused_answer_goes_and_the_page_says_so(page: Any):
    page.run(1)
    output = page.tab.locator(".jp-Notebook .jp-Cell").nth(1).locator(".jp-OutputArea")
    saved(page)
    for again in (False, True):
        if again:
            page.load()
        output.get_by_text("withdrawn").first.wait_for()
        assert "wettest" not in seen(page, 1)
        assert "content_filter" in seen(page, 1)


def test_an_answer_that_broke_off_is_there_once_with_the_reason(page: Any):
    page.run(2)
    saved(page)
    page.load()
    page.tab.get_by_text("broke in the middle of the answer").first.wait_for()
    assert seen(page, 2).count("wettest month") == 1
    assert "withdrawn" not in seen(page, 2)
