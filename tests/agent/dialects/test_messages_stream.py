"""A message's stream from servers strict, odd and broken: parts, or one clear error."""

import contextlib
import json
from typing import Any

import pytest

from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.dialects.messages_stream import MessagesReader, whole_message
from inkernel.agent.errors import (
    AnswerRefusedError,
    IncompleteError,
    ModelError,
    ProtocolError,
    QuotaError,
    RateLimitError,
    RequestRefusedError,
    ServerFaultError,
    StreamBrokenError,
)
from inkernel.agent.protocol.events import CallDelta, ReasoningDelta, TextDelta, Usage
from inkernel.agent.protocol.items import FunctionCall, Message

from .messages_wire import (
    MODEL,
    PING,
    SEARCH,
    STREAMS,
    Event,
    Window,
    block,
    data_of,
    dialect,
    end,
    items_in,
    output,
    read,
    said,
    start,
    text,
    thinking,
    use,
)


def failing(*events: Event) -> tuple[list[SamplePart], ModelError]:
    """The parts before the error, and the error. There is no end."""
    reader, parts = MessagesReader("api", MODEL), list[SamplePart]()
    with pytest.raises(ModelError) as caught:
        for part in reader.read_all(data_of(events)):
            parts.append(part)
    assert not reader.finished and not any(isinstance(it, ResponseDone) for it in parts)
    return parts, caught.value


def test_deltas_come_as_they_are_read():
    parts = read(STREAMS["parallel"])
    assert [part for part in parts if not hasattr(part, "wire")][:-1] == [
        ReasoningDelta(text="Hm."),
        TextDelta(text="I look."),
        CallDelta(call_id="toolu_1", name="look", text=""),
        CallDelta(call_id="toolu_1", name="look", text='{"what": "a b", "x": 1.0, "y": 1e0}'),
        CallDelta(call_id="toolu_2", name="look", text=""),
        CallDelta(call_id="toolu_2", name="look", text='{"z":1,"a":2}'),
        CallDelta(call_id="toolu_3", name="look", text=""),
    ]
    told = [it for it in read(STREAMS["interleaved"]) if isinstance(it, ReasoningDelta)]
    assert told == [ReasoningDelta(text="One.")]


def test_thoughts_are_paragraphs_of_their_own():
    parts = read([start(), *thinking(0, "One."), *thinking(1, "Two."), *text(2, "So."), *end()])
    told = [it for it in parts if isinstance(it, ReasoningDelta)]
    assert told == [ReasoningDelta(text="One."), ReasoningDelta(text="Two.", part=1)]


def test_a_call_of_the_servers_is_no_call_of_ours():
    parts = read(STREAMS["search"])
    assert not [it for it in parts if isinstance(it, CallDelta | FunctionCall)]
    assert parts[-1] == ResponseDone(
        Usage(input=2_104, cached=2_000, written=100, output=50, reasoning=20), "msg_1"
    )


@pytest.mark.parametrize("stop", ["max_tokens", "model_context_window_exceeded"])
def test_an_answer_that_was_cut_off_keeps_what_is_whole(stop: str):
    events = [start(), *text(0, "I look."), *use(1, "t", '{"what": "a'), *end(stop)]
    parts, error = failing(*events)
    assert [it.type for it in items_in(parts)] == ["message"]
    assert isinstance(error, IncompleteError) and stop in error.message


@pytest.mark.parametrize("pieces", [(), ("",), ("{",), ('{"what": "a',)])
def test_a_call_that_was_cut_off_never_runs(pieces: tuple[str, ...]):
    assert not items_in(failing(start(), *use(0, "t", *pieces), *end("max_tokens"))[0])
    begun = use(0, "t", *pieces)[:-1]
    assert not items_in(failing(start(), *begun, *end("max_tokens"))[0])
    assert not items_in(read([start(), *use(0, "t", *pieces)]))


def test_a_call_before_the_one_that_was_cut_off_is_whole():
    events = [start(), *use(0, "a", '{"what":"x"}'), *use(1, "b", "{"), *end("max_tokens")]
    assert [getattr(it, "call_id", "") for it in items_in(failing(*events)[0])] == ["a"]


@pytest.mark.parametrize("given", ["{", '{"a": NaN}', "[1]", "nothing", '{"a":1}}'])
def test_a_call_with_arguments_that_are_no_object_comes_at_the_end_as_it_is(given: str):
    """Its output then says what is wrong with them."""
    parts = read([start(), *use(0, "t", given), *text(1, "I look."), *end("tool_use")])
    call, told = items_in(parts)
    assert isinstance(call, FunctionCall) and (call.call_id, call.arguments) == ("t", given)
    assert isinstance(told, Message) and not call.native
    window = Window(said(), call, told, output("t"))
    assert window.sent()[1]["content"][0]["input"] == {}


def test_the_text_that_was_read_of_an_answer_that_was_cut_off_is_kept():
    (item,) = items_in(failing(start(), *text(0, "I be")[:-1], *end("max_tokens"))[0])
    assert isinstance(item, Message) and item.text == "I be"


def test_a_refusal_says_why_and_gives_no_end():
    details = {"type": "refusal", "category": "cyber", "explanation": "It could do harm"}
    _, error = failing(start(), *text(0, "First"), *end("refusal", stop_details=details))
    assert isinstance(error, AnswerRefusedError)
    assert error.message == f"{MODEL} declined to answer (cyber). It says: It could do harm."
    _, error = failing(start(), *end("refusal", stop_details=None))
    assert error.message == f"{MODEL} declined to answer."


def test_a_paused_turn_is_to_go_on():
    done = read(STREAMS["paused"])[-1]
    assert isinstance(done, ResponseDone) and done.more


def test_a_call_of_the_servers_waits_for_its_result():
    assert not items_in(read([start(), *SEARCH[:4]]))
    assert len(items_in(read([start(), *SEARCH]))) == 2
    assert len(items_in(read([start(), *SEARCH[:4], *end("pause_turn")]))) == 1
    assert not items_in(failing(start(), *SEARCH[:4], *end("max_tokens"))[0])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, RateLimitError),
        ({"type": "rate_limit_error", "message": "Too many"}, RateLimitError),
        ({"type": "api_error", "message": "Internal"}, ServerFaultError),
        ({"type": "billing_error", "message": "No credit"}, QuotaError),
        ({"type": "invalid_request_error", "message": "Bad"}, RequestRefusedError),
        ({"type": 5, "message": ["odd"]}, ServerFaultError),
        ("Overloaded", ServerFaultError),
        (None, ServerFaultError),
    ],
)
def test_an_error_in_the_stream_is_that_error(error: Any, kind: type[ModelError]):
    assert isinstance(failing(start(), {"type": "error", "error": error})[1], kind)
    if error:
        assert isinstance(failing({"error": error})[1], kind)


@pytest.mark.parametrize(
    "ignored",
    [
        PING,
        {},
        {"type": None},
        {"type": ["message_stop"]},
        {"type": "content_block_stop", "index": 9},
        {"type": "content_block_stop", "index": {}},
        {"type": "content_block_start"},
        {"type": "content_block_start", "index": 7, "content_block": "text"},
        {"type": "content_block_start", "index": 7, "content_block": {"text": "x"}},
        {"type": "content_block_delta"},
        {"type": "content_block_delta", "index": 9, "delta": {"type": "signature_delta"}},
        {"type": "content_block_delta", "index": 9, "delta": {"type": ["text_delta"]}},
        {"type": "content_block_delta", "index": 9, "delta": {"type": "new_delta", "new": 1}},
        {
            "type": "content_block_delta",
            "index": 9,
            "delta": {"type": "input_json_delta", "partial_json": "{}"},
        },
        {"type": "message_start"},
        {"type": "message_start", "message": {"id": 5, "usage": []}},
        {"type": "message_delta"},
        {"type": "message_delta", "delta": 5, "usage": {"output_tokens": "many"}},
        {"type": "some_day", "delta": {"text": "x"}},
    ],
)
def test_an_event_that_says_nothing_we_read_is_ignored(ignored: Event):
    parts = read([start(), ignored, *text(0, "Hi."), ignored, *end()])
    assert parts == read([start(), *text(0, "Hi."), *end()])


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("no start", [*text(0, "Hi."), *end()]),
        ("no block start", [start(), *text(0, "Hi.")[1:], *end()]),
        ("no block stop", [start(), *text(0, "Hi.")[:-1], *end()]),
        ("no indexes", [start(), *({**it, "index": None} for it in text(0, "Hi.")), *end()]),
        ("an index late", [start(), {**text(0)[0], "index": None}, *text(0, "Hi.")[1:], *end()]),
        ("no reason", [start(), *text(0, "Hi."), {"type": "message_stop"}]),
        ("no last event", [start(), *text(0, "Hi."), end()[0]]),
        ("all at the start", [start(), *block(0, {"type": "text", "text": "Hi."}), *end()]),
        ("usage late", [{"type": "message_start"}, *text(0, "Hi."), *end()]),
        ("an end after the end", [start(), *text(0, "Hi."), *end(), *end()]),
        ("a start that comes twice", [start(), start(), *text(0, "Hi."), *end()]),
    ],
)
def test_faults_of_servers_change_nothing_of_the_answer(name: str, events: list[Event]):
    reader = MessagesReader("api", MODEL)
    parts = [*reader.read_all(data_of(events)), *reader.closed()]
    (item,) = items_in(parts)
    assert isinstance(item, Message) and item.text == "Hi." and reader.finished, name
    shown = "".join(it.text for it in parts if isinstance(it, TextDelta))
    assert shown == "Hi." and isinstance(parts[-1], ResponseDone)


def test_blocks_of_one_index_stay_apart():
    events = [
        start(),
        *text(0, "One."),
        *text(0, "Two.")[:-1],
        *use(0, "t", '{"what":"x"}'),
        *end(),
    ]
    first, second, call = items_in(read(events))
    assert isinstance(first, Message) and isinstance(second, Message)
    assert (first.text, second.text, call.type) == ("One.", "Two.", "function_call")


def test_blocks_that_never_end_are_not_kept_open_without_limit():
    begun = [text(index, f"{index}.")[:-1] for index in range(1_500)]
    parts = read([start(), *(event for it in begun for event in it)])
    assert [it.text for it in items_in(parts) if isinstance(it, Message)] == [
        f"{index}." for index in range(500)
    ]


def test_text_in_the_place_of_another_block_is_text():
    mixed = [use(0, "t")[0], text(0, "Hi.")[1], thinking(0, "Hm.")[1]]
    call, told, thought = items_in(read([start(), *mixed, *end()]))
    assert [call.type, told.type, thought.type] == ["function_call", "message", "reasoning"]


def test_blocks_may_grow_beside_each_other():
    one, two = text(0, "One ", "more."), use(1, "t", '{"wh', 'at":"x"}')
    woven = [event for pair in zip(one, two, strict=True) for event in pair]
    told, call = items_in(read([start(), *woven, *end("tool_use")]))
    assert isinstance(told, Message) and told.text == "One more."
    assert isinstance(call, FunctionCall) and call.arguments == '{"what":"x"}'


@pytest.mark.parametrize("id_", [None, "", 5, ["t"], "a.b"])
def test_a_call_without_a_proper_id_gets_one(id_: Any):
    first = {"type": "tool_use", "id": id_, "name": "look", "input": {"what": "x"}}
    calls = items_in(read([start(), *block(0, first), *block(1, first), *end("tool_use")]))
    ids = [it.call_id for it in calls if isinstance(it, FunctionCall)]
    assert len(ids) == 2 and all(ids) and (id_ == "a.b" or ids[0] != ids[1])
    sent = Window(said(), *calls, *map(output, ids)).sent()
    assert [it["input"] for it in sent[1]["content"]] == [{"what": "x"}] * 2


def test_a_call_without_a_name_has_none():
    (call,) = items_in(read([start(), *block(0, {"type": "tool_use", "id": "t"}), *end()]))
    assert isinstance(call, FunctionCall) and (call.name, call.arguments) == ("", "{}")


def test_a_new_kind_of_block_is_kept_and_goes_back():
    odd = {"type": "diagram", "n": 1, "data": {"a": [1, {"b": "\ud83d"}]}}
    data = [json.dumps(it).encode() for it in [start(), *block(0, odd), *end()]]
    (item,) = items_in(MessagesReader("api", MODEL).read_all(data))
    assert item.type == "anthropic:diagram"
    sent = Window(said(), item, said("And?")).sent()
    assert sent[1]["content"] == [{**odd, "data": {"a": [1, {"b": "\ufffd"}]}}]


def test_half_a_pair_of_surrogates_goes_back_as_a_replaced_one():
    by, window = dialect(), Window(said())
    by.body(window.request())
    events = [
        *thinking(0, "Hm \ud83d."),
        *use(1, "t", '{"what":"\\ud83d\\', 'ude00 \\ud83d"}'),
        *thinking(2, "So."),
        *text(3, "\udc00!"),
    ]
    data = [json.dumps(it).encode() for it in [start(), *events, *end("tool_use")]]
    window.add(*items_in(by.reader().read_all(data)), output("t"))
    thought, call, more, told = window.sent(by)[1]["content"]
    assert (thought["thinking"], told["text"]) == ("Hm \ufffd.", "\ufffd!")
    assert call["input"] == {"what": "😀 \ufffd"} and more["thinking"] == "So."


def test_line_ends_between_values_are_white_space():
    by, window = dialect(), Window(said())
    by.body(window.request())
    events = [start(), *use(0, "t", '{\n "what":\r\n "x"}'), *thinking(1, "So."), *text(2, "I")]
    window.add(*items_in(read([*events, *end()], by=by.reader())), output("t"))
    assert len(window.sent(by)[1]["content"]) == 3  # the thought after it still holds


@pytest.mark.parametrize(
    "data", [b" ", b"hello", b"[1]", b'"x"', b"null", b"{", b"\xff", b"[" * 9_999]
)
def test_an_event_that_is_not_an_object_is_not_the_api(data: bytes):
    with pytest.raises(ProtocolError, match="api sent an event that is not a JSON object") as it:
        list(MessagesReader("api", MODEL).read_all([data]))
    assert len(it.value.message) < 500 and "Messages" in it.value.hint


def test_a_broken_event_breaks_the_stream():
    for broken in (b'{"type":"content_block_delta","ind', b'{"x', b'{"type":"message_stop"'):
        reader = MessagesReader("api", MODEL)
        with pytest.raises(StreamBrokenError):
            list(reader.read_all([*data_of([start(), *text(0, "Hi.")]), broken]))
        assert not reader.finished
    assert not list(MessagesReader("api", MODEL).read_all([b'{"type":"ping",']))


def test_a_nan_in_a_block_is_an_error_and_elsewhere_no_matter():
    bad = b'{"type":"content_block_start","index":0,"content_block":{"type":"x","n":NaN}}'
    with pytest.raises(ProtocolError):
        list(MessagesReader("api", MODEL).read_all([bad]))
    usage = b'{"type":"message_delta","delta":{"n":NaN},"usage":{"output_tokens":NaN}}'
    assert not list(MessagesReader("api", MODEL).read_all([usage]))


def test_a_block_that_is_nested_too_deep_is_left_out():
    for depth in range(190, 202):
        deep = b"[" * depth + b"]" * depth
        block = b'{"type":"content_block_start","index":0,"content_block":%b}'
        odd = block % (b'{"type":"odd","n":%b}' % deep)
        call = block % (b'{"type":"tool_use","id":"t","name":"f","input":{"n":%b}}' % deep)
        for data in (odd, call):
            reader, parts = MessagesReader("api", MODEL), list[SamplePart]()
            with contextlib.suppress(ProtocolError, StreamBrokenError):
                parts.extend(reader.read_all([data, *data_of(end())]))
            for item in items_in(parts):
                assert json.loads(dialect().body(Window(said(), item).request()))


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_was_cut_off_is_never_an_answer(name: str):
    events = STREAMS[name]
    for count in range(len(events) - 2):
        reader = MessagesReader("api", MODEL)
        parts = [*reader.read_all(data_of(events[:count])), *reader.closed()]
        assert not reader.finished
        assert not any(isinstance(part, ResponseDone) for part in parts)


def test_nothing_is_read_after_the_end():
    reader = MessagesReader("api", MODEL)
    list(reader.read_all(data_of([start(), *end()])))
    assert reader.over and not list(reader.read_all([b"no JSON"])) and not list(reader.closed())
    cut = MessagesReader("api", MODEL)
    assert not list(cut.read_all([*data_of([start()]), b"[DONE]"])) and cut.over
    assert not cut.finished
    told = MessagesReader("api", MODEL)
    assert list(told.read_all([*data_of([start(), end()[0]]), b"[DONE]"])) and told.finished


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"content": "x"}',
        b'{"error": {}}',
        b'{"output": []}',
        b'{"content": [NaN]}',
    ],
)
def test_a_body_that_is_no_message_has_no_events(body: bytes):
    assert whole_message(body) is None
    assert dialect().events_of(body) is None


def test_blocks_of_a_whole_message_in_any_shape_are_read():
    blocks: list[Any] = [5, None, "x", [], {}, {"type": 5}, {"type": "text", "text": 5}]
    events = whole_message(
        json.dumps({"content": [*blocks, {"type": "text", "text": "Hi."}]}).encode()
    )
    parts = list(MessagesReader("api", MODEL).read_all(events or ()))
    assert [it.text for it in items_in(parts) if isinstance(it, Message)] == ["Hi."]


def test_a_server_that_counts_nothing_has_no_usage():
    bare = {"type": "message_start", "message": {}}
    stop = {"type": "message_stop"}
    assert read([bare, *text(0, "Hi."), stop])[-1] == ResponseDone(None)
