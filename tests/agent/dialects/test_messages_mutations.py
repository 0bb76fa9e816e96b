"""Streams of the Messages API in any chunks, and spoilt in any way: items, or one clear error."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.dialects.messages_stream import MessagesReader, whole_message
from inkernel.agent.errors import ModelError
from inkernel.agent.protocol.items import FunctionCall, Item
from inkernel.agent.protocol.verbatim_json import loads
from inkernel.agent.transport.sse import Decoder

from .messages_rules import check_order
from .messages_wire import STREAMS, Event, Window, data_of, dialect, items_in, output, said

names = st.sampled_from(sorted(STREAMS))
FRAMES = {
    name: b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), data)
        for event, data in zip(events, data_of(events), strict=True)
    )
    for name, events in STREAMS.items()
}


def read(chunks: list[bytes]) -> tuple[list[SamplePart], ModelError | None, MessagesReader]:
    """The parts of the chunks and, if they fail, the error. Any other exception travels."""
    decoder, reader = Decoder(), MessagesReader("server", "model")
    parts: list[SamplePart] = []
    try:
        for chunk in chunks:
            for part in reader.read_all(decoder.feed(chunk)):
                parts.append(part)
        parts.extend(reader.closed())
    except ModelError as error:
        return parts, error, reader
    return parts, None, reader


def chunks_of(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


def kept(parts: list[SamplePart]) -> list[object]:
    found = (part for part in parts if isinstance(part, Item | ResponseDone))
    return [part.wire if isinstance(part, Item) else part for part in found]


def spoken(parts: list[SamplePart]) -> str:
    return "".join(getattr(part, "text", "") for part in parts if not isinstance(part, Item))


def judge(parts: list[SamplePart], error: ModelError | None, reader: MessagesReader) -> None:
    """Items that can be kept and sent back, and an end or a clear error but never both."""
    assert not (error and reader.finished)
    assert sum(isinstance(part, ResponseDone) for part in parts) == reader.finished
    items = items_in(parts)
    for item in items:
        assert b"\n" not in item.wire and loads(item.wire)["type"] == item.type
    if error:
        assert error.message and len(error.message) < 1_000
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


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A stream with bytes flipped, left out, put in, said twice, cut off, or another's."""
    stream = FRAMES[draw(names)]
    for _ in range(draw(st.integers(1, 4))):
        at, size = draw(st.integers(0, len(stream))), draw(st.integers(0, 200))
        head, mid, tail = stream[:at], stream[at : at + size], stream[at + size :]
        match draw(st.sampled_from(["flip", "cut", "put", "twice", "end", "splice", "frame"])):
            case "flip":
                stream = head + bytes(byte ^ draw(st.integers(1, 255)) for byte in mid[:3]) + tail
            case "cut":
                stream = head + tail
            case "put":
                stream = head + draw(st.binary(max_size=20)) + mid + tail
            case "twice":
                stream = head + mid + mid + tail
            case "end":
                stream = head
            case "splice":
                other = FRAMES[draw(names)]
                stream = head + other[draw(st.integers(0, len(other))) :]
            case _:
                stream = b"\n\n".join(draw(st.permutations(stream.split(b"\n\n"))))
    return stream


@given(spoilt(), st.lists(st.integers(0), max_size=5))
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
