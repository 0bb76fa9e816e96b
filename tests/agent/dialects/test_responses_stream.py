"""From a response's events to what they mean: strict servers, odd servers, and broken ones."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.dialects.responses_stream import ResponseReader, whole_response
from inkernel.agent.errors import (
    AnswerRefusedError,
    ContextLengthError,
    IncompleteError,
    ModelError,
    ProtocolError,
    RateLimitError,
    ServerFaultError,
    StreamBrokenError,
)
from inkernel.agent.protocol.events import (
    CallDelta,
    HostedProgress,
    ReasoningDelta,
    TextDelta,
    Usage,
)
from inkernel.agent.protocol.items import FunctionCall, Item
from inkernel.agent.transport.sse import Decoder

CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
TEXT = {"type": "message", "id": "msg_1", "role": "assistant", "content": "Hello."}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def completed(*output: object, **fields: Any) -> dict[str, Any]:
    return event("completed", response={"status": "completed", "output": output, **fields})


def read(*events: object) -> list[SamplePart]:
    reader = ResponseReader("host:1", "m")
    return [part for one in events for part in reader.read_all([json.dumps(one).encode()])]


def wires(parts: Iterable[SamplePart]) -> list[object]:
    return [json.loads(part.wire) for part in parts if isinstance(part, Item)]


@pytest.mark.parametrize(
    ("given_event", "part"),
    [
        (event("output_text.delta", delta="Hi"), TextDelta(text="Hi")),
        (event("refusal.delta", delta="No"), TextDelta(text="No")),
        (event("reasoning_summary_text.delta", delta="Hm"), ReasoningDelta(text="Hm")),
        (
            event("reasoning_summary_text.delta", delta="Hm", summary_index=2),
            ReasoningDelta(text="Hm", part=2),
        ),
        (
            event("reasoning_text.delta", delta="Hm", content_index=1),
            ReasoningDelta(text="Hm", part=1),
        ),
        (event("reasoning.delta", delta="Hm", content_index=0), ReasoningDelta(text="Hm")),
        (event("output_text.delta"), TextDelta(text="")),
        (event("output_text.delta", delta=None), TextDelta(text="")),
    ],
)
def test_a_delta_is_told(given_event: dict[str, Any], part: SamplePart):
    assert read(given_event) == [part]


@pytest.mark.parametrize(
    "ignored",
    [
        event("created", response={"status": "queued"}),
        event("in_progress"),
        event("output_item.added", item=TEXT),
        event("output_item.added", item="msg"),
        event("output_item.done", item=None),
        event("output_item.done", item={"id": "no type"}),
        event("content_part.added"),
        event("some.future.event", item=CALL),
        {"type": "acme:ping"},
        {"type": None},
        {"type": ["response.completed"]},
        event("image_generation_call.partial_image", partial_image_b64="AAAA"),
        {},
    ],
)
def test_an_event_that_says_nothing_we_read_is_ignored(ignored: dict[str, Any]):
    assert read(ignored) == []


@pytest.mark.parametrize(
    "data", [b" ", b"hello", b"[1]", b'"x"', b"null", b"{", b"\xff", b"[" * 99_999]
)
def test_an_event_that_is_not_an_object_is_not_the_api(data: bytes):
    with pytest.raises(ProtocolError, match="host:1 sent an event that is not a JSON object") as it:
        list(ResponseReader("host:1", "m").read_all([data]))
    assert len(it.value.message) < 500


def test_argument_deltas_belong_to_the_call_of_their_item():
    other = {**CALL, "id": "fc_2", "call_id": "call_2", "name": "g"}
    parts = read(
        event("output_item.added", item=CALL),
        event("output_item.added", item=other),
        event("function_call_arguments.delta", item_id="fc_1", delta="{"),
        event("function_call_arguments.delta", item_id="fc_2", delta="["),
    )
    assert parts == [
        CallDelta(call_id="call_1", name="f", text=""),
        CallDelta(call_id="call_2", name="g", text=""),
        CallDelta(call_id="call_1", name="f", text="{"),
        CallDelta(call_id="call_2", name="g", text="["),
    ]


@pytest.mark.parametrize(
    "item_id", [{}, {"item_id": "unknown"}, {"item_id": None}, {"item_id": []}]
)
def test_argument_deltas_without_a_known_item_belong_to_the_latest_call(item_id: dict[str, Any]):
    nameless = {key: value for key, value in CALL.items() if key != "id"}
    parts = read(
        event("output_item.added", item=nameless),
        event("function_call_arguments.delta", delta="{", **item_id),
    )
    assert parts[-1] == CallDelta(call_id="call_1", name="f", text="{")


def test_an_item_is_given_once_however_often_it_comes():
    parts = read(
        event("output_item.done", item=TEXT),
        event("output_item.done", item={**TEXT, "content": "Hello again."}),
        event("output_item.done", item={**CALL, "id": "other"}),
        completed(CALL, TEXT),
    )
    assert wires(parts) == [TEXT, {**CALL, "id": "other"}]


def test_items_without_an_id_are_told_apart_by_what_they_are():
    first, second = ({"type": "message", "role": "assistant", "content": text} for text in "ab")
    assert wires(read(completed(first, second, first))) == [first, second]


def test_an_item_only_in_the_last_snapshot_is_given_before_the_end():
    parts = read(event("output_item.done", item=TEXT), completed(TEXT, CALL))
    assert wires(parts[:2]) == [TEXT, CALL]
    assert parts[2:] == [ResponseDone(None)]


def test_the_end_has_the_id_a_next_request_may_name():
    assert read(completed(id="resp_1")) == [ResponseDone(None, "resp_1")]
    assert read(completed(id=None)) == [ResponseDone(None)]


def test_an_empty_message_is_no_item():
    empty = {"type": "message", "id": "msg_2", "role": "assistant", "content": []}
    assert wires(read(event("output_item.done", item=empty), completed(TEXT, empty))) == [TEXT]


def test_an_item_of_an_unknown_kind_is_given():
    item = {"type": "acme:chart", "id": "x", "data": [1]}
    assert wires(read(event("output_item.done", item=item))) == [item]


def test_a_call_that_was_cut_off_is_no_call():
    cut = {**CALL, "arguments": '{"code": "rm', "status": "incomplete"}
    assert read(event("output_item.done", item=cut)) == []
    assert wires(read(event("output_item.done", item=cut), completed(CALL))) == [CALL]


@pytest.mark.parametrize(
    ("sent", "usage"),
    [
        (None, None),
        ({}, None),
        ("many", None),
        ({"input_tokens": 3}, Usage(input=3)),
        (
            {
                "input_tokens": 9,
                "input_tokens_details": {"cached_tokens": 4},
                "output_tokens": 7,
                "output_tokens_details": {"reasoning_tokens": 5},
                "total_tokens": 16,
            },
            Usage(input=9, cached=4, output=7, reasoning=5),
        ),
        ({"input_tokens": None, "input_tokens_details": None, "output_tokens": 2}, Usage(output=2)),
    ],
)
def test_usage_is_read_in_every_form(sent: object, usage: Usage | None):
    assert read(completed(usage=sent)) == [ResponseDone(usage)]


@pytest.mark.parametrize("output", [None, {}, 5, "text", {"0": CALL}, [None, "text", 3, [CALL]]])
def test_an_end_with_an_odd_output_is_an_end(output: object):
    assert read(event("completed", response={"output": output})) == [ResponseDone(None)]


@pytest.mark.parametrize(
    ("kind", "response", "reason"),
    [
        ("incomplete", {"status": "incomplete", "incomplete_details": None}, "no reason given"),
        (
            "completed",
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "max_output_tokens",
        ),
    ],
)
def test_an_answer_that_was_cut_off_gives_its_items_and_then_says_so(
    kind: str, response: dict[str, Any], reason: str
):
    reader = ResponseReader("host:1", "m")
    end = event(kind, response={**response, "output": [TEXT]})
    parts = reader.read_all([json.dumps(end).encode()])
    assert wires([next(parts)]) == [TEXT]
    with pytest.raises(IncompleteError, match=rf"host:1 cut the answer off: {reason}\."):
        next(parts)


def test_an_answer_that_is_filtered_is_refused():
    reader = ResponseReader("host:1", "m")
    end = event("incomplete", response={"incomplete_details": {"reason": "content_filter"}})
    with pytest.raises(AnswerRefusedError, match="host:1 filtered the answer"):
        list(reader.read_all([json.dumps(end).encode()]))


ERROR = {"code": "server_error", "message": "It broke."}


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (event("failed", response={"error": ERROR}), ServerFaultError, "It broke."),
        (event("failed", response={"error": None}), ServerFaultError, "no reason given"),
        (event("failed"), ServerFaultError, "no reason given"),
        ({"type": "error", **ERROR, "param": None}, ServerFaultError, "It broke."),
        (
            {"type": "error", "error": {"type": "server_error", **ERROR}},
            ServerFaultError,
            "It broke.",
        ),
        ({"error": {"message": "It broke.", "code": "500"}}, ServerFaultError, "It broke."),
        ({"type": "error", "code": "rate_limit_exceeded"}, RateLimitError, "too many requests"),
        ({"type": "error", "error": "It broke."}, ServerFaultError, "It broke."),
        (
            {"type": "error", "status": 429, "error": {"code": "slow_down", "message": "Wait."}},
            RateLimitError,
            "Wait.",
        ),
        (completed(status="failed", error=ERROR), ServerFaultError, "It broke."),
        (completed(status="cancelled"), ServerFaultError, "no reason given"),
        (
            event("failed", response={"error": {"code": "context_length_exceeded"}}),
            ContextLengthError,
            "no longer fits the window of m",
        ),
    ],
)
def test_a_failure_in_the_stream_is_an_error(
    failure: dict[str, Any], kind: type[ModelError], words: str
):
    with pytest.raises(kind) as it:
        read(failure)
    assert type(it.value) is kind
    assert words in it.value.message


def test_deltas_of_a_kind_that_came_together_are_one():
    def delta(kind: str, text: str, **fields: Any) -> bytes:
        return json.dumps(event(f"{kind}.delta", delta=text, **fields)).encode()

    reader = ResponseReader("host:1", "m")
    together = [
        delta("output_text", "a", item_id="m", sequence_number=1),
        delta("output_text", "b", item_id="m", sequence_number=2),
        delta("output_text", "c", item_id="n"),
        delta("reasoning_text", "d", content_index=0),
        delta("reasoning_text", "e", content_index=0),
        delta("reasoning_text", "f", content_index=1),
        delta("output_text", "g", item_id="m"),
        json.dumps(event("in_progress")).encode(),
        delta("output_text", "h", item_id="m"),
    ]
    assert list(reader.read_all(together)) == [
        TextDelta(text="ab"),
        TextDelta(text="c"),
        ReasoningDelta(text="de", part=0),
        ReasoningDelta(text="f", part=1),
        TextDelta(text="g"),
        TextDelta(text="h"),
    ]


@pytest.mark.parametrize("last", [b"no event", b'{"type": "error", "error": {}}'])
def test_what_came_before_an_error_is_given_before_it_is_raised(last: bytes):
    good = json.dumps(event("output_text.delta", delta="a")).encode()
    parts = ResponseReader("host:1", "m").read_all([good, good, last, good])
    assert next(parts) == TextDelta(text="aa")
    with pytest.raises(ModelError):
        next(parts)


def test_what_came_before_the_bound_of_an_event_is_given():
    good = json.dumps(event("output_text.delta", delta="a")).encode()
    events = Decoder(max_event=100).feed(b"data: " + good + b"\n\n" + b"x" * 101)
    parts = ResponseReader("host:1", "m").read_all(events)
    assert next(parts) == TextDelta(text="a")
    with pytest.raises(ProtocolError, match="more than 100 bytes"):
        next(parts)


def test_nothing_is_read_after_the_end():
    end, more = (json.dumps(one).encode() for one in (completed(), completed(TEXT)))
    reader = ResponseReader("host:1", "m")
    assert list(reader.read_all([end, more, b"rubbish"])) == [ResponseDone(None)]
    assert list(reader.read_all([more])) == []
    assert reader.finished and reader.over


def test_done_without_an_end_is_over_and_not_finished():
    reader = ResponseReader("host:1", "m")
    assert list(reader.read_all([b"[DONE]", b"rubbish"])) == []
    assert reader.over and not reader.finished


@pytest.mark.parametrize("about", ["web_search_call", "mcp_call", "shell_call"])
def test_what_runs_at_the_server_is_told_as_it_goes(about: str):
    item = {"type": about, "id": "x", "call_id": "c", "status": "in_progress"}
    parts = read(
        event("output_item.added", item=item),
        event(f"{about}.searching", item_id="x"),
        event(f"{about}.completed", item_id="x"),
        event("output_item.done", item={**item, "status": "completed"}),
    )
    assert parts[:3] == [
        HostedProgress(item_id="x", kind=about, status=status)
        for status in ("in_progress", "searching", "completed")
    ]
    assert wires(parts[3:]) == [{**item, "status": "completed"}]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("code_interpreter_call_code", "code_interpreter_call"),
        ("mcp_call_arguments", "mcp_call"),
        ("custom_tool_call_input", "custom_tool_call"),
        ("shell_call_command", "shell_call"),
        ("apply_patch_call_operation_diff", "apply_patch_call"),
    ],
)
def test_what_is_written_for_the_server_is_told_as_it_grows(name: str, kind: str):
    assert read(event(f"{name}.delta", item_id="x", delta="1+")) == [
        HostedProgress(item_id="x", kind=kind, text="1+")
    ]


@pytest.mark.parametrize(
    "item",
    [
        b'{ "type" : "message",\t"role":"assistant", "content":"Hi", "n": 1e0, "n": 2.50 }',
        rb'{"type":"acme:x","id":"\u0061","pair":"\ud83d\ude00","esc":"\/\u00e9","big":123456789012345678901}',
        b'{"type":"function_call","call_id":"c","name":"f","arguments":"{}","x":1E+2}',
    ],
)
@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"response.output_item.done", "item":{"type":"old"}, "item": %b}',
        b'{"response":{"output":[{"type":"reasoning"}, %b ]},"type":"response.completed"}',
    ],
)
def test_an_item_is_kept_to_the_byte(frame: bytes, item: bytes):
    parts = ResponseReader("host:1", "m").read_all([frame % item])
    assert item in [part.wire for part in parts if isinstance(part, Item)]


def test_a_line_end_between_the_values_of_an_item_becomes_a_space():
    frame = b'{"type":"response.output_item.done","item":{"type":\n"acme:x",\r\n"t":"a\\nb"}}'
    (part,) = ResponseReader("host:1", "m").read_all([frame])
    assert isinstance(part, Item)
    assert part.wire == b'{"type": "acme:x",  "t":"a\\nb"}'


def test_an_item_that_could_not_be_sent_back_is_not_the_api():
    frame = b'{"type":"response.output_item.done","item":{"type":"acme:x","n":NaN}}'
    with pytest.raises(ProtocolError, match="not a JSON object"):
        list(ResponseReader("host:1", "m").read_all([frame]))


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("type", "id", "item", "output", "call_id", "name", "status", "error")),
            inner,
        )
    ),
    max_leaves=10,
)
KINDS = [
    *("response.output_item.added", "response.output_item.done", "response.completed", "error"),
    *("response.function_call_arguments.delta", "response.output_text.delta", "response.failed"),
    *("response.incomplete", "response.reasoning_text.delta"),
]
FIELDS = ["item", "item_id", "delta", "response", "error", "code", "message", "summary_index"]


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), odd))))
def test_no_event_however_odd_is_a_crash(events: list[tuple[str, dict[str, Any]]]):
    reader = ResponseReader("host:1", "m")
    for kind, fields in events:
        try:
            parts = list(reader.read_all([json.dumps({"type": kind, **fields}).encode()]))
        except ModelError as error:
            assert error.message
        else:
            assert all(part.call_id for part in parts if isinstance(part, FunctionCall))


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ([], False),
        ("", False),
        ([{"type": "output_text", "text": "", "annotations": []}], False),
        ([{"type": "output_text", "text": "Yes."}], True),
        ([{"type": "refusal", "refusal": "No."}], True),
        ([{"type": "acme:chart", "data": 1}], True),
    ],
)
def test_a_message_that_says_nothing_is_not_kept(content: object, kept: bool):
    item = {"type": "message", "id": "m", "role": "assistant", "content": content}
    event = {"type": "response.output_item.done", "item": item}
    parts = list(ResponseReader("host:1", "m").read_all([json.dumps(event).encode()]))
    assert bool(parts) is kept


def of_call(call_id: str, status: str = "completed") -> dict[str, Any]:
    return {**CALL, "id": f"fc_{call_id}", "call_id": call_id, "status": status}


SAID = {"type": "message", "id": "m", "role": "assistant", "content": "Yes."}


@pytest.mark.parametrize(
    ("items", "whole"),
    [
        ([SAID, of_call("a")], True),
        ([SAID, SAID], True),
        ([SAID, {**SAID, "content": "No."}], False),
        ([of_call("a", "incomplete"), of_call("b")], False),
        ([SAID, {**SAID, "id": "n", "content": []}], False),
    ],
)
def test_it_knows_whether_the_server_holds_more_than_it_gave(
    items: list[dict[str, Any]], whole: bool
):
    reader = ResponseReader("host:1", "m")
    events = [event("output_item.done", item=item) for item in items]
    events.append(event("completed", response={"id": "r", "output": []}))
    list(reader.read_all([json.dumps(it).encode() for it in events]))
    assert reader.finished
    assert reader.whole is whole


def test_a_key_is_hidden_before_words_are_cut():
    def hide(text: str) -> str:
        return text.replace("sk-secret", "[key]")

    long = "x" * 295 + "sk-secret"
    failed = event("failed", response={"error": {"code": "server_error", "message": long}})
    for data in (json.dumps(failed), "x" * 76 + "sk-secret"):
        reader = ResponseReader("host:1", "m", hide)
        with pytest.raises(ModelError) as raised:
            list(reader.read_all([data.encode()]))
        assert "sk-s" not in raised.value.message


def test_an_event_without_data_is_a_sign_of_life_and_no_more():
    done = json.dumps(event("completed", response={"id": "r", "output": []})).encode()
    parts = list(ResponseReader("host:1", "m").read_all([b"", done, b""]))
    assert parts == [ResponseDone(None, "r")]


def test_a_byte_that_is_no_utf_8_is_replaced_everywhere():
    reader = ResponseReader("host:1", "m")
    item = b'{"type":"message","id":"m","role":"assistant","content":"caf\xe9"}'
    frames = [
        b'{"type":"response.output_text.delta","item_id":"m","delta":"caf\xe9"}',
        b'{"type":"response.output_item.done","item":%s}' % item,
        b'{"type":"response.completed","response":{"output":[%s]}}' % item,
    ]
    delta, message, end = reader.read_all(frames)
    assert delta == TextDelta(text="caf\ufffd")
    assert isinstance(message, Item)
    assert "caf\ufffd" in message.wire.decode()
    assert isinstance(end, ResponseDone)


@pytest.mark.parametrize(
    "broken",
    [
        b'{"type":"response.output_text.delta","delta":"He',
        b'{"type": "response.output_text.done", "text": }',
        b'{"type":"response.in_progress","response":{',
        b'{"type":"response.content_part.added",,}',
    ],
)
def test_a_broken_event_that_is_not_needed_is_left_out(broken: bytes):
    frames = [
        json.dumps(event("output_item.added", item=TEXT)).encode(),
        broken,
        json.dumps(event("output_item.done", item=TEXT)).encode(),
        json.dumps(completed()).encode(),
    ]
    parts = list(ResponseReader("host:1", "m").read_all(frames))
    assert wires(parts) == [TEXT]
    assert isinstance(parts[-1], ResponseDone)


@pytest.mark.parametrize(
    "broken",
    [
        b'{"type":"response.output_item.done","item":{"type":"mess',
        b'{"type":"response.completed","response":{"output":[',
        b'{"type":"response.fai',
        b"hello",
    ],
)
def test_a_broken_event_that_is_needed_is_a_broken_stream(broken: bytes):
    frames = [json.dumps(event("output_item.added", item=TEXT)).encode(), broken]
    with pytest.raises(StreamBrokenError, match="host:1 sent a broken event"):
        list(ResponseReader("host:1", "m").read_all(frames))


def test_a_message_that_only_deltas_told_is_not_made_of_those_that_are_left():
    frames = [
        json.dumps(event("output_text.delta", item_id="m", delta="It is ")).encode(),
        b'{"type":"response.output_text.delta","item_id":"m","delta":"not ',
        json.dumps(event("output_text.delta", item_id="m", delta="so.")).encode(),
        json.dumps(completed()).encode(),
    ]
    with pytest.raises(StreamBrokenError, match="broken event"):
        list(ResponseReader("host:1", "m").read_all(frames))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"output":1}', b'{"error":"x"}'])
def test_what_is_no_whole_response_makes_no_event(body: bytes):
    assert whole_response(body) is None


def test_a_whole_response_is_the_event_at_its_end():
    body = json.dumps(completed(TEXT)["response"], indent=2).encode()
    data = whole_response(body)
    assert data is not None
    message, end = ResponseReader("host:1", "m").read_all([data])
    assert isinstance(message, Item)
    assert json.loads(message.wire) == TEXT
    assert isinstance(end, ResponseDone)


def test_a_search_for_tools_is_a_call_from_its_beginning_and_one_at_the_server_is_not():
    ours = {"type": "tool_search_call", "id": "t", "call_id": "c", "execution": "client"}
    whole = {**ours, "status": "completed", "arguments": {"query": "rain"}}
    added = event("output_item.added", item={**ours, "status": "in_progress", "arguments": {}})
    parts = read(added, event("output_item.done", item=whole), completed(whole))
    assert parts[0] == CallDelta(call_id="c", name="tool_search", text="")
    assert wires(parts) == [whole] and isinstance(parts[-1], ResponseDone)
    theirs = {**ours, "call_id": None, "execution": "server"}
    (part,) = read(event("output_item.added", item=theirs))
    assert part == HostedProgress(item_id="t", kind="tool_search_call", status="in_progress")
