"""What a server began and never finished: what was shown is kept, what is whole counts."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from inkernel.agent.dialects.dialect import SamplePart
from inkernel.agent.dialects.partial_items import MOST_OPEN
from inkernel.agent.dialects.responses_stream import ResponseReader
from inkernel.agent.errors import IncompleteError, ProtocolError
from inkernel.agent.protocol.events import TextDelta
from inkernel.agent.protocol.items import Item

CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
TEXT = {"type": "message", "id": "msg_1", "role": "assistant", "content": "Hello."}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def completed(*output: object) -> dict[str, Any]:
    return event("completed", response={"status": "completed", "output": output})


def read(*events: object) -> list[SamplePart]:
    reader = ResponseReader("host:1", "m")
    return [part for one in events for part in reader.read_all([json.dumps(one).encode()])]


def wires(parts: Iterable[SamplePart]) -> list[Any]:
    return [json.loads(part.wire) for part in parts if isinstance(part, Item)]


ADDED = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "phase": "commentary",
    "content": [],
}
TEXT_DELTA = event("output_text.delta", item_id="msg_1", content_index=0, delta="Hello.")
REBUILT = {"type": "output_text", "text": "Hello."}


@pytest.mark.parametrize(
    ("events", "items"),
    [
        ([event("output_item.added", item=ADDED), TEXT_DELTA], [{**ADDED, "content": [REBUILT]}]),
        (
            [TEXT_DELTA, TEXT_DELTA],
            [
                {
                    "type": "message",
                    "id": "msg_1",
                    "role": "assistant",
                    "content": [{**REBUILT, "text": "Hello.Hello."}],
                }
            ],
        ),
        (
            [event("refusal.delta", delta="No."), event("refusal.done", refusal="No!")],
            [
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "refusal", "refusal": "No!"}],
                }
            ],
        ),
        ([event("output_text.delta", delta=" ")], []),
    ],
)
def test_text_that_was_shown_and_never_closed_is_a_message(
    events: list[object], items: list[dict[str, Any]]
):
    assert wires(read(*events, completed())) == [{**item, "status": "completed"} for item in items]


@pytest.mark.parametrize(
    "item",
    [TEXT, {**TEXT, "content": "Said otherwise."}, {**TEXT, "id": "msg_9"}, {**TEXT, "id": None}],
)
def test_text_that_came_as_a_message_is_not_said_twice(item: dict[str, Any]):
    assert wires(read(TEXT_DELTA, completed(item))) == [item]
    assert wires(read(TEXT_DELTA, event("output_item.done", item=item), completed())) == [item]


def test_text_that_was_shown_is_kept_when_its_message_came_empty():
    empty = {**TEXT, "content": [{"type": "output_text", "text": ""}]}
    (message,) = wires(read(TEXT_DELTA, event("output_item.done", item=empty), completed(empty)))
    assert message == {**TEXT, "status": "completed", "content": [REBUILT]}


def test_text_without_an_item_id_belongs_to_the_message_that_follows():
    one, two = ({"type": "message", "id": i, "role": "assistant", "content": i} for i in "ab")
    parts = read(
        event("output_text.delta", delta="x"),
        event("output_item.done", item=one),
        event("output_text.delta", delta="y"),
        event("output_item.done", item=two),
        completed(),
    )
    assert wires(parts) == [one, two]


OPEN_CALL = event("output_item.added", item={**CALL, "arguments": ""})


@pytest.mark.parametrize(
    ("arguments", "whole"),
    [(['{"a"', ": 1}"], True), (['{"a": 1'], False), (["[1]"], False), ([], False), ([""], False)],
)
def test_a_call_that_was_never_closed_counts_when_its_arguments_are_whole(
    arguments: list[str], whole: bool
):
    deltas = [
        event("function_call_arguments.delta", item_id="fc_1", delta=text) for text in arguments
    ]
    expected = [{**CALL, "arguments": "".join(arguments), "status": "completed"}] if whole else []
    assert wires(read(OPEN_CALL, *deltas, completed())) == expected


def test_done_arguments_override_their_deltas():
    parts = read(
        OPEN_CALL,
        event("function_call_arguments.delta", item_id="fc_1", delta="{"),
        event("function_call_arguments.done", id="fc_1", arguments='{"a": 2}'),
        completed(),
    )
    assert wires(parts) == [{**CALL, "arguments": '{"a": 2}', "status": "completed"}]


@pytest.mark.parametrize("call", [CALL, {**CALL, "id": "other"}, {**CALL, "status": "incomplete"}])
def test_a_call_that_came_is_not_made_twice(call: dict[str, Any]):
    delta = event("function_call_arguments.delta", item_id="fc_1", delta="{}")
    came = [] if call.get("status") else [call]
    assert wires(read(OPEN_CALL, delta, event("output_item.done", item=call), completed())) == came


def test_of_an_answer_that_was_cut_off_the_text_is_kept_and_open_calls_are_not():
    delta = event("function_call_arguments.delta", item_id="fc_1", delta="{}")
    cut = event("incomplete", response={})
    lines = [json.dumps(one).encode() for one in (TEXT_DELTA, OPEN_CALL, delta, cut)]
    parts: list[SamplePart] = []
    with pytest.raises(IncompleteError):
        parts.extend(ResponseReader("host:1", "m").read_all(lines))
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "incomplete"}
    assert wires(parts) == [{**message, "content": [REBUILT]}]


def test_an_announcement_that_could_not_be_sent_back_is_not_the_api():
    nan = json.dumps(event("output_item.added", item={**ADDED, "n": float("nan")})).encode()
    events = [nan, *(json.dumps(one).encode() for one in (TEXT_DELTA, completed()))]
    parts = ResponseReader("host:1", "m").read_all(events)
    assert next(parts) == TextDelta(text="Hello.")
    with pytest.raises(ProtocolError):
        next(parts)


def test_arguments_for_what_is_no_call_belong_to_the_latest_call():
    arguments = event("function_call_arguments.delta", item_id="msg_1", delta='{"a": 1}')
    parts = read(OPEN_CALL, event("output_item.added", item=ADDED), arguments, completed())
    assert [item["arguments"] for item in wires(parts)] == ['{"a": 1}']


def begun(number: int) -> dict[str, Any]:
    call = {**CALL, "id": f"fc_{number}", "call_id": f"call_{number}"}
    return event("output_item.added", item=call)


@pytest.mark.timeout(60)
def test_many_open_calls_are_looked_at_once():
    # Looking at each of them when one of them ends would take some minutes.
    calls = [begun(number)["item"] | {"id": f"other_{number}"} for number in range(40_000)]
    opened = [begun(number) for number in range(len(calls))]
    done = [event("output_item.done", item=call) for call in calls]
    assert wires(read(*opened, *done, completed())) == calls


def test_more_open_items_than_are_kept_track_of_are_not_made_whole():
    opened = [begun(number) for number in range(MOST_OPEN + 5)]
    made = wires(read(*opened, completed()))
    assert [item["call_id"] for item in made] == [f"call_{n}" for n in range(MOST_OPEN)]


def test_a_call_that_was_not_announced_ends_nothing_else():
    text = event("output_text.delta", delta="Hello.")
    items = wires(read(text, event("output_item.done", item=CALL), completed()))
    assert [item["type"] for item in items] == ["function_call", "message"]
