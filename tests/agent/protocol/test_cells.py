"""Cell runs as pydantic writes and reads them inside events and records."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from inkernel.agent.conversation.output_store import run_of
from inkernel.agent.protocol.cells import CellRun, DisplayOutput, ErrorOutput, Output, StreamOutput
from inkernel.agent.protocol.event_json import event_values, read_event
from inkernel.agent.protocol.events import OutputShown
from inkernel.agent.protocol.record_lines import CellRunLine, line_of

WRITTEN: list[tuple[Output, str]] = [
    (
        StreamOutput(name="stderr", text="é\n"),
        '{"output_type":"stream","name":"stderr","text":"é\\n"}',
    ),
    (
        DisplayOutput(data={"a/b+json": {"k": [1, None]}}, metadata={"m": 1}, result=True),
        '{"output_type":"display_data","data":{"a/b+json":{"k":[1,null]}},"metadata":{"m":1},'
        '"result":true,"display_id":null}',
    ),
    (
        DisplayOutput(data={}, display_id="d"),
        '{"output_type":"display_data","data":{},"metadata":{},"result":false,"display_id":"d"}',
    ),
    (
        ErrorOutput(ename="E", evalue="v", traceback=("a", "b")),
        '{"output_type":"error","ename":"E","evalue":"v","traceback":["a","b"]}',
    ),
]


@pytest.mark.parametrize(("output", "text"), WRITTEN)
def test_an_event_writes_its_output_as_ever_and_reads_it_back(output: Output, text: str):
    event = OutputShown(call_id="c", output=output)
    written = json.dumps(event_values(event), separators=(",", ":"), ensure_ascii=False)
    assert written == f'{{"event":"output_shown","call_id":"c","output":{text}}}'
    assert read_event(json.loads(written)) == event


def test_a_record_gives_back_the_run_that_it_was_given():
    run = CellRun(source="s", status="error", outputs=tuple(output for output, _ in WRITTEN))
    values = TypeAdapter(CellRun).dump_python(run, mode="json")
    assert list(values) == [
        *("source", "status", "outputs", "bound", "deleted", "seconds", "count", "limit", "stuck")
    ]
    assert values["outputs"] == [json.loads(text) for _, text in WRITTEN]
    said = {"by": "agent", "turn": 1, "cell": None, "handle": "out-1", "tokens": 1}
    line = line_of({"kind": "cell_run", "v": 1, **said, **values}, b"")
    assert isinstance(line, CellRunLine) and run_of(line) == run


def test_a_field_that_nobody_knows_is_refused():
    output = {"output_type": "stream", "name": "stdout", "text": "x", "more": 1}
    with pytest.raises(ValidationError):
        read_event({"event": "output_shown", "call_id": "c", "output": output})
