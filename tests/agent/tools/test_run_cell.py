"""How a cell run is told to the model."""

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest

from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record, read_lines
from inkernel.agent.protocol.cells import CellRun, DisplayOutput, ErrorOutput, StreamOutput
from inkernel.agent.protocol.items import FunctionCall, parse_item
from inkernel.agent.testing import repeat_code
from inkernel.agent.text.cell_output import MAX_SENT_IMAGES
from inkernel.agent.tools.run_cell import RunCell, run_cell_tool, tell
from inkernel.agent.tools.tool import ToolCall, read_arguments

DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)
PNG = DisplayOutput(data={"image/png": f"{DOT}\n", "text/plain": "<Figure>"})


def ran(*outputs, status="ok", **more) -> CellRun:
    return CellRun(source="code", status=status, outputs=outputs, **more)


def test_it_says_how_it_went_and_which_names_it_bound():
    told = tell(ran(bound=("a", "b"), deleted=("c",)), 1000, "out-1")
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
        "out-1",
    )
    assert told.text == "error\nstdout:\nprinted\nresult:\n42\nerror:\nValueError: no"
    assert told.status == "error"


def test_figures_are_images_after_the_text():
    told = tell(ran(PNG), 1000, "out-1")
    text, image = told.parts
    assert text["type"] == "input_text"
    assert image["image_url"] == f"data:image/png;base64,{DOT}"


def test_of_many_figures_the_last_few_are_sent_and_the_rest_is_said():
    told = tell(ran(*[PNG] * (MAX_SENT_IMAGES + 3)), 1000, "out-1")
    assert len(told.parts) == 1 + MAX_SENT_IMAGES
    assert "3 earlier figures are not sent" in told.text


def test_long_output_keeps_head_and_tail_and_says_what_is_missing():
    lines = "\n".join(f"line {n}" for n in range(10_000))
    told = tell(ran(StreamOutput(name="stdout", text=lines)), 200, "out-7")
    assert told.text.startswith("ok\nstdout:\nline 0\n") and told.text.endswith("line 9999")
    assert re.search(r"… lines \d+–\d+ of out-7 left out", told.text) and len(told.text) < 1000


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"text/html": "<b>x</b>", "text/plain": "x"}, "x"),
        ({"text/markdown": "**x**", "text/plain": "x"}, "**x**"),
        ({"application/json": {}, "text/html": "<b>"}, "[application/json, text/html]"),
    ],
)
def test_of_a_rich_output_the_model_reads_its_text(data, text):
    assert tell(ran(DisplayOutput(data=data)), 1000, "out-1").text == f"ok\ndisplay:\n{text}"


async def test_the_tool_runs_code_through_the_seam_it_is_given(tmp_path: Path):
    record = Record(tmp_path / "s.jsonl")
    tool = run_cell_tool(repeat_code(), 1000, OutputStore(record))
    told = await tool.run(ToolCall("call_1"), RunCell(title="a step", code="1 + 1"))
    assert told.text == "ok\nstdout:\n1 + 1"
    assert set(tool.schema["parameters"]["properties"]) == {"title", "code", "timeout"}


async def test_each_run_is_in_the_record_with_its_call_and_a_handle(tmp_path: Path):
    record = Record(tmp_path / "s.jsonl")
    tool = run_cell_tool(repeat_code(), 1000, OutputStore(record))
    for number in (1, 2):
        await tool.run(ToolCall(f"call_{number}"), RunCell(title="a step", code="x"))
    lines = [it.value for it in read_lines(record.path)]
    assert [line["kind"] for line in lines] == ["cell_run"] * 2
    assert [(line["call_id"], line["handle"]) for line in lines] == [
        ("call_1", "out-1"),
        ("call_2", "out-2"),
    ]
    assert lines[0]["source"] == "x" and lines[0]["outputs"][0]["text"] == "x"


def test_what_is_no_image_is_said_in_words():
    broken = DisplayOutput(data={"image/png": "aGk=", "text/plain": "<Figure>"})
    *_, last = tell(ran(broken), 1000, "out-1").parts
    assert last["type"] == "input_text" and "image/png" in last["text"]


@pytest.mark.parametrize(
    "arguments",
    [
        '{"title": "add", "code": "1 + 1", "timeout": null}',
        '{"title": "add", "code": "1 + 1", "timeout": ""}',
        '{"title": "add", "code": "1 + 1", "timeout": "None"}',
        json.dumps('{"title": "add", "code": "1 + 1"}'),
        json.dumps({"title": "add", "code": "```python\n1 + 1\n```"}),
        '```json\n{"title": "add", "code": "1 + 1"}\n```',
    ],
)
def test_a_step_is_read_in_any_form_that_can_mean_one_thing_only(arguments: str):
    step = read(arguments)
    assert (step.title, step.code, step.timeout) == ("add", "1 + 1", 0)


@pytest.mark.parametrize("title", ["", '"title": null, ', '"title": " ", ', '"title": 5, '])
def test_a_step_without_a_title_has_its_first_line(title: str):
    step = read(f'{{{title}"code": "\\nx = 1\\ny = 2"}}')
    assert (step.title, step.code) == ("x = 1", "\nx = 1\ny = 2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('{"title": "t", "code": null}', "code: Field required"),
        ('{"title": "t"}', "code: Field required"),
        ('{"title": "t", "code": "x", "timeout": -1}', "timeout: Input should be greater"),
        ("print(1)", "Invalid JSON"),
    ],
)
def test_a_step_that_says_too_little_is_told_so(arguments: str, words: str):
    assert words in read(arguments).text


def read(arguments: str) -> Any:
    tool = run_cell_tool(repeat_code(), 1_000, cast("Any", None))
    call = parse_item(
        {"type": "function_call", "call_id": "c", "name": "run_cell", "arguments": arguments}
    )
    return read_arguments(tool, cast("FunctionCall", call))
