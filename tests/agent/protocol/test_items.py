"""Items are kept and sent back as they came, whatever they are."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import from_json

from inkernel.agent.protocol.event_json import event_values, read_event
from inkernel.agent.protocol.events import ItemDone
from inkernel.agent.protocol.items import (
    FunctionCall,
    FunctionCallOutput,
    HostedCall,
    Item,
    Message,
    OtherItem,
    Reasoning,
    ToolSearchCall,
    arguments_of,
    call_output,
    dumps,
    image_part,
    message,
    parse_item,
    sendable,
    text_part,
)
from inkernel.agent.protocol.verbatim_json import loads, whole_text

KINDS = ("message", "reasoning", "function_call", "function_call_output", "mcp_call", "acme:x")
FIELDS = (
    *("id", "role", "content", "phase", "summary", "encrypted_content"),
    *("call_id", "name", "arguments", "output", "status"),
)
CALL = ("id", "call_id", "name", "arguments")
text = st.text(st.characters(exclude_categories=()))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
objects = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    st.sampled_from(KINDS) | text,
    st.dictionaries(st.sampled_from(FIELDS) | text.filter(lambda key: key != "type"), values),
)


@given(objects)
def test_any_object_with_a_type_keeps_its_wire_form_through_an_event(data: dict[str, Any]):
    item = parse_item(data)
    if isinstance(item, FunctionCall):  # whose ids, name and arguments are what can be answered
        data = {**data, **{key: value for key, value in loads(item.wire).items() if key in CALL}}
    assert item.wire == dumps(data)
    assert parse_item(data, item.wire).wire == item.wire
    event = read_event(json.loads(json.dumps(event_values(ItemDone(item=item)))))
    assert isinstance(event, ItemDone)
    assert event.item.model_dump_json() == item.model_dump_json()


@pytest.mark.parametrize("data", [{}, {"type": None}, {"type": 3}, {"id": "msg_1", "role": "user"}])
def test_an_object_without_a_textual_type_is_no_item(data: dict[str, Any]):
    with pytest.raises(ValueError, match="without a type"):
        parse_item(data)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Message, {"type": "message", "role": "assistant", "content": []}),
        (Message, {"type": "message", "role": "user", "content": "plain"}),
        (Reasoning, {"type": "reasoning"}),
        (Reasoning, {"type": "reasoning", "summary": [], "encrypted_content": "abc", "content": 1}),
        (FunctionCall, {"type": "function_call", "call_id": "c", "name": "f"}),
        (FunctionCallOutput, {"type": "function_call_output", "call_id": "c", "output": ""}),
        (HostedCall, {"type": "compaction", "encrypted_content": "abc"}),
        (HostedCall, {"type": "web_search_call", "status": "completed", "action": 5}),
        (OtherItem, {"type": "mcp_call", "status": 3}),
        (OtherItem, {"type": "acme:telemetry"}),
        (FunctionCall, {"type": "function_call", "name": "no call_id"}),
        (OtherItem, {"type": "message", "role": "assistant", "content": None}),
    ],
)
def test_a_kind_is_known_by_its_type_and_shape(kind: type[Item], fields: dict[str, Any]):
    assert type(parse_item(fields)) is kind


def test_the_text_of_a_message_includes_refusals_and_skips_what_has_none():
    parts = [
        {"type": "output_text", "text": "I can. "},
        {"type": "acme:chart", "data": [1]},
        {"type": "refusal", "refusal": "I will not."},
    ]
    item = parse_item({"type": "message", "role": "assistant", "content": parts})
    assert isinstance(item, Message)
    assert item.text == "I can. I will not."


@pytest.mark.parametrize(
    ("fields", "paragraphs"),
    [
        ({"summary": [{"type": "summary_text", "text": "a"}], "content": [{"text": "b"}]}, ("a",)),
        ({"content": [{"type": "reasoning_text", "text": "b"}, {"text": ""}, 3, {}]}, ("b",)),
        ({"role": "assistant", "content": [{"type": "output_text", "text": "c"}]}, ("c",)),
        ({"content": "odd"}, ()),
    ],
)
def test_a_thought_is_its_summary_or_else_itself(fields: dict[str, Any], paragraphs: object):
    item = parse_item({"type": "reasoning", **fields})
    assert isinstance(item, Reasoning)
    assert item.paragraphs == paragraphs


@pytest.mark.parametrize(
    ("content", "empty"),
    [
        ("", True),
        ([], True),
        ([{"type": "output_text", "text": ""}, {"type": "refusal"}], True),
        ("a", False),
        ([{"type": "refusal", "refusal": "No."}], False),
        ([{"type": "acme:chart"}], False),
    ],
)
def test_a_message_without_any_text_or_other_part_says_nothing(content: object, empty: bool):
    item = parse_item({"type": "message", "role": "assistant", "content": content})
    assert isinstance(item, Message)
    assert item.says_nothing is empty


def test_an_item_cannot_be_changed():
    item = message("user", text_part("Hello"))
    with pytest.raises(ValidationError, match="frozen"):
        item.role = "system"


@pytest.mark.parametrize("text", [r"a\ud83d", r"\uDE00\ud83d b", r"\ud83d\u0041", r"x\udcff"])
def test_a_server_s_item_loses_a_lone_surrogate_and_nothing_else(text: str):
    head = r'{"type":"message", "role":"user","n":1e0,"content":"\ud83d\ude00 \\ud83d \n'
    wire = f'{head}{text}"}}'.encode()
    item = parse_item(loads(wire), wire)
    assert from_json(item.wire)["content"] == whole_text(json.loads(wire)["content"])
    assert item.wire.startswith(head.encode())


@pytest.mark.parametrize("text", ["a\ud83d", "\ude00\ud83d b", "\ud83d\u0041", "x\udcff 雨"])
def test_our_own_items_never_have_a_lone_surrogate(text: str):
    for item in (
        message("user", text_part(text)),
        call_output("c", [text_part(text)]),
        call_output("c", [text_part(text), image_part("data:image/png;base64,AA==")]),
        parse_item({"type": "function_call", "call_id": "c", "name": "f", "arguments": text}),
    ):
        from_json(item.wire)
        assert "\ufffd" in item.wire.decode()


def test_halves_of_one_pair_that_meet_are_the_whole_character():
    assert message("user", text_part("\ud83d\ude00")).text == "\U0001f600"


def test_text_that_is_not_ascii_is_sent_as_itself():
    assert message("user", text_part("größer 雨")).wire.count("größer 雨".encode()) == 1


def test_an_output_of_one_text_is_sent_as_a_plain_string():
    output = call_output("c", [text_part("42")])
    assert json.loads(output.wire) == {
        "type": "function_call_output",
        "call_id": "c",
        "output": "42",
    }


def test_an_output_with_an_image_is_sent_as_parts_in_order():
    parts = [text_part("a figure"), image_part("data:image/png;base64,AA==")]
    assert json.loads(call_output("c", parts).wire)["output"] == parts
    assert json.loads(call_output("c", parts[1:]).wire)["output"] == parts[1:]


@pytest.mark.parametrize("arguments", ["", "{", "[]", "nope", '{"a": NaN', "\ud800"])
def test_a_call_whose_arguments_are_no_object_is_sent_with_none(arguments: str):
    fields = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "x": 1}
    call = parse_item({**fields, "arguments": arguments})
    assert json.loads(sendable(call).wire) == {**fields, "arguments": "{}"}


def test_what_can_be_sent_is_sent_as_it_came():
    for item in (
        parse_item({"type": "function_call", "call_id": "c", "name": "f", "arguments": '{ "a":1}'}),
        parse_item({"type": "message", "role": "user", "content": ""}),
    ):
        assert sendable(item) is item


@pytest.mark.parametrize(
    ("fields", "call_id", "name", "arguments"),
    [
        ({"call_id": "c", "name": "f", "arguments": {"a": 1}}, "c", "f", '{"a":1}'),
        ({"call_id": "c", "name": "f", "arguments": None}, "c", "f", "null"),
        ({"call_id": 7, "name": "f", "arguments": "{}"}, "7", "f", "{}"),
        ({"call_id": "", "id": "fc_1", "name": "f", "arguments": "{}"}, "fc_1", "f", "{}"),
        ({"id": "fc_1", "name": "f"}, "fc_1", "f", ""),
        ({"call_id": ["c"], "id": "fc_1", "name": None}, "fc_1", "", ""),
    ],
)
def test_a_call_of_any_shape_is_a_call_that_can_be_answered_and_sent_back(
    fields: dict[str, Any], call_id: str, name: str, arguments: str
):
    call = parse_item({"type": "function_call", **fields, "x": 1})
    assert isinstance(call, FunctionCall)
    assert (call.call_id, call.name, call.arguments) == (call_id, name, arguments)
    sent = json.loads(call.wire)
    assert (sent["call_id"], sent["name"], sent["x"]) == (call_id, name, 1)
    assert isinstance(sent.get("arguments", ""), str)
    assert parse_item(json.loads(call.wire), call.wire) == call


@pytest.mark.parametrize(
    ("fields", "ours"),
    [
        ({"execution": "client", "call_id": "c"}, True),
        ({"execution": "client", "call_id": None}, True),
        ({"call_id": "c"}, True),
        ({"execution": None, "call_id": "c"}, True),
        ({"execution": "server", "call_id": None}, False),
        ({"execution": "server", "call_id": "c"}, False),
        ({}, False),
    ],
)
def test_a_search_for_tools_is_ours_unless_the_server_runs_it(fields: dict[str, Any], ours: bool):
    data = {"type": "tool_search_call", "id": "t", "arguments": {"query": "a"}, **fields}
    item = parse_item(data)
    assert isinstance(item, HostedCall) and isinstance(item, ToolSearchCall) is ours
    if isinstance(item, ToolSearchCall):
        assert (item.name, item.arguments) == ("tool_search", '{"query":"a"}')
    if fields.get("call_id") or not ours:
        assert item.wire == dumps(data)


def test_calls_without_any_id_differ_by_what_they_ask():
    calls = [parse_item({"type": "function_call", "name": name}) for name in ("f", "f", "g")]
    ids = [call.call_id for call in calls if isinstance(call, FunctionCall)]
    assert ids[0] == ids[1] != ids[2]
    assert all(ids)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        *(("", {}), ("  ", {}), ("null", {}), ('""', {}), ('{"a": 1}', {"a": 1})),
        (json.dumps('{"a": 1}'), {"a": 1}),
        (json.dumps(json.dumps('{"a": 1}')), {"a": 1}),
        ('```json\n{"a": 1}\n```\n', {"a": 1}),
        ('{"a": "x\ny"}', {"a": "x\ny"}),
        *(("{", None), ("[]", None), ("nope", None), ('"nope"', None), ("[" * 9_999, None)),
    ],
)
def test_arguments_are_read_in_any_form_that_means_an_object(text: str, read: object):
    assert arguments_of(text) == read
    call = parse_item({"type": "function_call", "call_id": "c", "name": "f", "arguments": text})
    assert json.loads(json.loads(sendable(call).wire)["arguments"]) == (read or {})
