"""Streams of Chat Completions: deltas, items, the end, and the message that goes back."""

import json
from typing import Any

import pytest

from inkernel.agent.dialects import chat_answer
from inkernel.agent.dialects.chat_stream import ChatReader, events_of_completion
from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.errors import (
    AnswerRefusedError,
    ContextLengthError,
    IncompleteError,
    ModelError,
    ProtocolError,
    RateLimitError,
    RequestRefusedError,
    ServerFaultError,
    StreamBrokenError,
)
from inkernel.agent.protocol.events import CallDelta, ReasoningDelta, TextDelta
from inkernel.agent.protocol.items import (
    FunctionCall,
    Item,
    Message,
    Reasoning,
    call_output,
    text_part,
)

from .chat_rules import check
from .chat_streams import STREAMS, Stream, chunk, piece, texts, usage
from .test_chat import chat_of, request_of, user


def read(data: list[bytes], size: int | None = None) -> tuple[list[SamplePart], ChatReader]:
    """The parts in events that come `size` at a time, and whether that was the end."""
    reader, parts = ChatReader("server", "model"), list[SamplePart]()
    for at in range(0, len(data), size or len(data) or 1):
        parts += reader.read_all(data[at : at + (size or len(data))])
    parts += reader.closed()
    return parts, reader


def failing(*chunks: Any, done: bool = False) -> tuple[list[SamplePart], ModelError]:
    """The parts before an error, and the error."""
    reader, parts = ChatReader("server", "model"), list[SamplePart]()
    data = [it if isinstance(it, bytes) else json.dumps(it).encode() for it in chunks]
    with pytest.raises(ModelError) as caught:
        for events in ([*data, b"[DONE]"] if done else data, None):
            for part in reader.read_all(events) if events else reader.closed():
                parts.append(part)
    assert not reader.finished
    return parts, caught.value


def items_of(parts: list[SamplePart]) -> list[Item]:
    return [part for part in parts if isinstance(part, Item)]


def shown(parts: list[SamplePart], kind: type) -> str:
    return "".join(part.text for part in parts if isinstance(part, kind))


def next_messages(items: list[Item], *, spoilt: bool = False) -> list[dict[str, Any]]:
    """The messages of the next request, which keeps all rules."""
    calls = [it.call_id for it in items if isinstance(it, FunctionCall)]
    outputs = [call_output(call_id, [text_part("ok")]) for call_id in calls]
    body = chat_of().body(request_of(user("Hi."), *items, *outputs, user("On.")))
    check(body, spoilt=spoilt)
    return json.loads(body)["messages"]


def sent_back(items: list[Item]) -> dict[str, Any]:
    """The model's message in the next request."""
    return next_messages(items)[2]


@pytest.mark.parametrize("size", [1, 3, None])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_in_any_chunks_is_shown_and_goes_back_as_it_came(name: str, size: int | None):
    stream: Stream = STREAMS[name]
    parts, reader = read(stream.data, size)
    assert reader.finished and reader.over and reader.whole
    assert shown(parts, TextDelta) == stream.text
    assert shown(parts, ReasoningDelta) == stream.thought
    back = sent_back(items_of(parts))
    if stream.made_ids:
        calls = back["tool_calls"]
        assert len({it["id"] for it in calls}) == len(calls)
        for made, given in zip(calls, stream.back["tool_calls"], strict=True):
            made["id"] = given["id"]
    assert back == {"role": "assistant", **stream.back}
    assert parts[-1] == ResponseDone(stream.usage)


@pytest.mark.parametrize("name", STREAMS)
def test_the_items_say_what_was_shown(name: str):
    parts, _ = read(STREAMS[name].data)
    items = items_of(parts)
    said = [it.text for it in items if isinstance(it, Message)]
    assert "".join(said) == shown(parts, TextDelta)
    told = [line for it in items if isinstance(it, Reasoning) for line in it.paragraphs]
    assert "".join(told) == shown(parts, ReasoningDelta)
    for call in (it for it in items if isinstance(it, FunctionCall)):
        deltas = [it for it in parts if isinstance(it, CallDelta) and it.call_id == call.call_id]
        assert shown(list(deltas), CallDelta) == (call.arguments if deltas[-1].text else "")
        assert deltas[0].name == call.name


def test_neighbouring_deltas_become_one_and_an_error_comes_after_them():
    chunks = [*texts("content", "a", "b"), *texts("reasoning", "c"), *texts("content", "d", "e")]
    parts, error = failing(*chunks, {"error": {"message": "Overloaded", "code": 429}})
    assert [getattr(part, "text", "") for part in parts] == ["ab", "c", "de"]
    assert isinstance(error, RateLimitError) and not items_of(parts)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"error": {"message": "Provider disconnected", "code": 502}}, ServerFaultError),
        ({"error": "boom"}, ServerFaultError),
        ({"object": "error", "message": "boom", "code": 500}, ServerFaultError),
        ({"error": {"message": "m", "type": "invalid_request_error"}}, RequestRefusedError),
        ({"error": {"code": 400, "message": "maximum context length"}}, ContextLengthError),
        ([{"error": {"code": 503, "message": "high demand"}}], ServerFaultError),
        (chunk({}, "error", error={"message": "no", "code": 429}), RateLimitError),
    ],
)
def test_an_error_in_the_stream_is_that_error(error: Any, kind: type[ModelError]):
    assert isinstance(failing(error)[1], kind)
    assert isinstance(failing(chunk({"content": "So"}), error)[1], kind)


@pytest.mark.parametrize("error", [None, False, "", {}, [], 0])
def test_an_error_that_is_none_is_no_error(error: Any):
    parts, reader = read([json.dumps(chunk({"content": "a"}, "stop", error=error)).encode()])
    assert reader.finished and shown(parts, TextDelta) == "a"


def test_an_answer_that_was_cut_off_keeps_its_text_and_no_call():
    chunks = [*texts("reasoning", "Hm."), *texts("content", "So"), piece(0, "a1", "look", "{}")]
    parts, error = failing(*chunks, chunk({}, "length"), done=True)
    assert isinstance(error, IncompleteError) and "length" in str(error)
    reasoning, said = items_of(parts)
    assert isinstance(reasoning, Reasoning) and isinstance(said, Message)
    assert said.model_dump()["status"] == "incomplete"


@pytest.mark.parametrize("reason", ["content_filter", "content_filter: PROHIBITED_CONTENT"])
def test_a_filtered_answer_is_a_refusal_and_leaves_nothing(reason: str):
    parts, error = failing(
        chunk({"content": "So"}), {"choices": [{"finish_reason": reason}]}, b"[DONE]"
    )
    assert isinstance(error, AnswerRefusedError) and reason in str(error)
    assert not items_of(parts) and shown(parts, TextDelta) == "So"


@pytest.mark.parametrize(
    "reason",
    [
        "abort",
        "error",
        "insufficient_system_resource",
        "function_call_filter: MALFORMED_FUNCTION_CALL",
    ],
)
@pytest.mark.parametrize("done", [True, False])
def test_an_answer_that_failed_can_be_tried_again(reason: str, done: bool):
    parts, error = failing(piece(0, "a1", "look", "{}"), chunk({}, reason), done=done)
    assert error.retryable and reason in str(error) and not items_of(parts)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_was_cut_is_no_answer_and_none_of_its_calls_run(name: str):
    stream = STREAMS[name]
    last = next(n for n, it in enumerate(stream.data) if b'"finish_reason": "' in it)
    for end in range(last):
        parts, reader = read(stream.data[:end])
        assert not reader.finished and not reader.over and not items_of(parts)


def test_without_a_reason_to_stop_only_whole_calls_count():
    half = [piece(0, "a1", "look", "{}"), piece(1, "a2", "look", '{"a": ')]
    data = [json.dumps(it).encode() for it in half]
    parts, reader = read([*data, b"[DONE]"])
    assert [it.type for it in items_of(parts)] == ["function_call"] and reader.finished


def test_a_call_without_a_name_is_no_call():
    parts, reader = read([json.dumps(it).encode() for it in (piece(0, "a"), chunk({}, "stop"))])
    assert not items_of(parts) and reader.finished


def test_a_stream_of_nothing_is_no_answer():
    for data in ([], [b"[DONE]"], [b'{"choices": []}'], [b'{"choices": []}', b"[DONE]"]):
        parts, reader = read(data)
        assert parts == [] and not reader.finished


def test_nothing_is_read_after_the_end():
    data = [json.dumps(chunk({"content": "a"}, "stop")).encode(), b"[DONE]", b"garbage"]
    reader = ChatReader("server", "model")
    parts = [*reader.read_all(data), *reader.read_all([b"more"]), *reader.closed()]
    assert sum(isinstance(part, ResponseDone) for part in parts) == 1


@pytest.mark.parametrize("data", [b"{", b"3", b'"ping"', b"null", b"<html>", b"[[]]"])
def test_a_chunk_that_cannot_be_read_is_one_clear_error(data: bytes):
    assert isinstance(failing(data)[1], ProtocolError)
    assert isinstance(failing(chunk({"content": "a"}), data)[1], StreamBrokenError)


def test_a_stream_of_another_api_is_named_as_such():
    assert isinstance(failing({"type": "response.created"})[1], ProtocolError)
    assert isinstance(failing({"type": "message_stop"}, done=True)[1], ProtocolError)


def test_bytes_that_are_no_utf_8_and_numbers_that_are_no_json_are_replaced():
    data = [
        b'{"choices":[{"delta":{"content":"a\xffb NaN \\ud83d"}}]}',
        b'{"choices":[{"delta":{"reasoning_details":[{"x":NaN}],"tool_calls":[{"index":NaN,'
        b'"id":"1","n":Infinity,"function":{"name":"look","arguments":{"y":-Infinity}}}]}}]}',
        b'{"choices":[{"finish_reason":"stop"}]}',
    ]
    parts, _ = read(data)
    back = sent_back(items_of(parts))
    assert back["content"] == "a\ufffdb NaN \ufffd"
    assert back["reasoning_details"] == [{"x": None}]
    assert back["tool_calls"][0]["function"]["arguments"] == '{"y":null}'


def test_a_completion_that_came_whole_is_read_like_a_stream():
    stream = STREAMS["mistral, a thought and a call"]
    body = {
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", **stream.back}, "finish_reason": "stop"}
        ],
        "usage": usage(),
    }
    events = events_of_completion(json.dumps(body, indent=1).encode())
    assert events is not None
    parts, reader = read(events)
    assert reader.finished and sent_back(items_of(parts)) == {"role": "assistant", **stream.back}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"error": {}}', b'{"choices": []}', b"7"])
def test_a_body_that_is_no_completion_has_no_events(body: bytes):
    assert events_of_completion(body) is None


def test_a_message_beside_deltas_is_not_read_twice():
    chunks = [chunk({"content": "a"}), chunk({}, "stop")]
    chunks[1]["choices"][0]["message"] = {"content": "a"}
    parts, _ = read([json.dumps(it).encode() for it in chunks])
    assert shown(parts, TextDelta) == "a"


@pytest.mark.parametrize("with_id", [True, False])
def test_a_name_in_each_piece_is_read_once_and_its_arguments_are_parsed_seldom(
    monkeypatch: pytest.MonkeyPatch, with_id: bool
):
    parsed: list[int] = []
    loads = chat_answer.loads
    monkeypatch.setattr(chat_answer, "loads", lambda text: parsed.append(len(text)) or loads(text))
    texts = ['{"code":"', *("}", '{\\"', "}", "\\", '"') * 200, '"}']
    data = [json.dumps(piece(0, "a" if with_id else None, "look", text)).encode() for text in texts]
    parts, _ = read([*data, json.dumps(chunk({}, "tool_calls")).encode(), b"[DONE]"])
    (call,) = [part for part in parts if isinstance(part, FunctionCall)]
    assert (call.name, call.arguments) == ("look", "".join(texts))
    assert sum(parsed) <= 2 * len(call.arguments)


def test_there_is_a_bound_to_the_calls_of_an_answer():
    calls = [{"index": n, "id": str(n), "function": {"name": "look"}} for n in range(1_200)]
    parts, _ = read([json.dumps(chunk({"tool_calls": calls}, "stop")).encode()])
    assert len(items_of(parts)) == 1_000
