"""How a cell run is told to the model."""

import pytest

from inkernel.agent.cells import CellRun, DisplayOutput, ErrorOutput, StreamOutput
from inkernel.agent.fakes import repeat_code
from inkernel.agent.tools.run_cell import MAX_IMAGES, RunCell, run_cell_tool, tell

PNG = DisplayOutput(data={"image/png": "aGk=\n", "text/plain": "<Figure>"})


def ran(*outputs, status="ok", **more) -> CellRun:
    return CellRun(source="code", status=status, outputs=outputs, **more)


def test_it_says_how_it_went_and_which_names_it_bound():
    told = tell(ran(bound=("a", "b"), deleted=("c",)), 1000)
    assert told.text == "ok · bound: a, b · deleted: c"
    assert told.status == "ok"


def test_outputs_come_in_order_without_colours():
    error = ErrorOutput(
        ename="ValueError", evalue="no", traceback=("\x1b[31mValueError\x1b[0m: no",)
    )
    told = tell(
        ran(
            StreamOutput(name="stdout", text="printed\n"),
            DisplayOutput(data={"text/plain": "42"}, result=True),
            error,
            status="error",
        ),
        1000,
    )
    assert told.text == "error\nstdout:\nprinted\nresult:\n42\nerror:\nValueError: no"
    assert told.status == "error"


def test_figures_are_images_after_the_text():
    told = tell(ran(PNG), 1000)
    text, image = told.parts
    assert text["type"] == "input_text"
    assert image["image_url"] == "data:image/png;base64,aGk="


def test_of_many_figures_the_last_few_are_sent_and_the_rest_is_said():
    told = tell(ran(*[PNG] * (MAX_IMAGES + 3)), 1000)
    assert len(told.parts) == 1 + MAX_IMAGES
    assert "3 earlier figures are not sent" in told.text


def test_long_output_keeps_head_and_tail_and_says_what_is_missing():
    lines = "\n".join(f"line {n}" for n in range(10_000))
    told = tell(ran(StreamOutput(name="stdout", text=lines)), 200)
    assert told.text.startswith("ok\nstdout:\nline 0\n") and told.text.endswith("line 9999")
    assert "left out" in told.text and len(told.text) < 4000


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"text/html": "<b>x</b>", "text/plain": "x"}, "x"),
        ({"text/markdown": "**x**", "text/plain": "x"}, "**x**"),
        ({"application/json": {}, "text/html": "<b>"}, "[application/json, text/html]"),
    ],
)
def test_of_a_rich_output_the_model_reads_its_text(data, text):
    assert tell(ran(DisplayOutput(data=data)), 1000).text == f"ok\ndisplay:\n{text}"


async def test_the_tool_runs_code_through_the_seam_it_is_given():
    tool = run_cell_tool(repeat_code(), 1000)
    told = await tool.run("call_1", RunCell(title="a step", code="1 + 1"))
    assert told.text == "ok\nstdout:\n1 + 1"
    assert not tool.reads_only
    assert set(tool.schema["parameters"]["properties"]) == {"title", "code"}
