"""Streams of the Messages API in any chunks, and spoilt in any way: items, or one clear error."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inkernel.agent.dialects.dialect import Reader, SamplePart
from inkernel.agent.dialects.messages_stream import MessagesReader, whole_message
from inkernel.agent.errors import ModelError
from inkernel.agent.protocol.items import FunctionCall

from .messages_rules import check_order
from .messages_wire import STREAMS, Event, Window, data_of, dialect, output, said
from .spoiling import check_sound, chunks_of, kept, read_chunks, spoilt, spoken

names = st.sampled_from(sorted(STREAMS))
FRAMES = {
    name: b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), data)
        for event, data in zip(events, data_of(events), strict=True)
    )
    for name, events in STREAMS.items()
}


def read(chunks: list[bytes]) -> tuple[list[SamplePart], ModelError | None, Reader]:
    return read_chunks(MessagesReader("server", "model"), chunks)


def judge(parts: list[SamplePart], error: ModelError | None, reader: Reader) -> None:
    """Items that can be kept and sent back, and an end or a clear error but never both."""
    items = check_sound(parts, error, reader)
    window = Window(said(), *items)
    window.add(*(output(item.call_id) for item in items if isinstance(item, FunctionCall)))
    for model in ("claude-opus-5-5", "claude-opus-5"):
        check_order(json.loads(dialect(model).body(window.request())))


@given(names, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0), max_size=30))
def test_any_chunks_of_a_stream_give_the_same_items(name: str, end: bytes, cuts: list[int]):
    whole, failure, _ = read([FRAMES[name]])
    parts, error, reader = read(chunks_of(FRAMES[name].replace(b"\n", end), cuts))
    assert error is failure is None and reader.finished
    assert kept(parts) == kept(whole) and spoken(parts) == spoken(whole)


@given(spoilt(FRAMES), st.lists(st.integers(0), max_size=5))
@example(b"data: {}\n\n" * 3, [])
def test_a_spoilt_stream_is_items_or_one_error(stream: bytes, cuts: list[int]):
    judge(*read(chunks_of(stream, cuts)))


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 9),
    st.floats(),
    st.sampled_from(["", " ", "text", "tool_use", "tool_result", "message_stop", "\ud800", "a.b"]),
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "id", "text", "input"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something is in a value."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, it in inner for place in places(it, (*path, key)))]


@st.composite
def odd(draw: st.DrawFn) -> list[Event]:
    """The events of a stream, in which any value anywhere is another, or is not there."""
    events: list[Any] = json.loads(json.dumps(STREAMS[draw(names)]))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from([place for place in places(events) if place]))
        at: Any = events
        for key in way:
            at = at[key]
        if draw(st.booleans()):
            at[last] = draw(values)
        else:
            del at[last]
    return events


@given(odd())
def test_any_value_anywhere_is_items_or_one_error(events: list[Event]):
    stream = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    judge(*read([stream]))


@given(values)
def test_a_whole_message_of_any_value_is_items_or_one_error(value: Any):
    body = json.dumps({"content": [value, {"type": "text", "text": value}], "usage": value})
    reader, parts = MessagesReader("server", "model"), list[SamplePart]()
    parts.extend(reader.read_all(whole_message(body.encode()) or ()))
    judge(parts, None, reader)


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_a_byte_that_is_no_utf_8_is_replaced_or_breaks_the_stream(name: str):
    stream = FRAMES[name]
    for at in range(0, len(stream), 53):
        judge(*read([stream[:at] + b"\xff" + stream[at + 1 :]]))
