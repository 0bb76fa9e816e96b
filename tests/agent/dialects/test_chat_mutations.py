"""Streams of Chat Completions spoilt in any way: items that can be sent, or one clear error."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from inkernel.agent.dialects.chat_stream import ChatReader, events_of_completion
from inkernel.agent.dialects.dialect import Reader, SamplePart
from inkernel.agent.errors import ModelError
from inkernel.agent.protocol.items import FunctionCall
from inkernel.agent.protocol.verbatim_json import loads

from .chat_streams import STREAMS
from .spoiling import check_sound, chunks_of, kept, read_chunks, spoilt, spoken
from .test_chat_stream import next_messages

SSE = {name: stream.sse for name, stream in STREAMS.items()}
names = st.sampled_from(sorted(SSE))
fixed = st.sampled_from(sorted(name for name, stream in STREAMS.items() if not stream.made_ids))


def read(chunks: list[bytes]) -> tuple[list[SamplePart], ModelError | None, Reader]:
    return read_chunks(ChatReader("server", "model"), chunks)


def is_sound(parts: list[SamplePart], error: ModelError | None, reader: Reader) -> None:
    """It is an answer that can be sent back, or one error."""
    items = check_sound(parts, error, reader)
    assert not items or reader.finished or "cut the answer off" in str(error)
    next_messages(items, spoilt=True)


@given(fixed, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0), max_size=30))
def test_any_chunks_of_a_stream_give_the_same_items(name: str, end: bytes, cuts: list[int]):
    whole, failure, _ = read([SSE[name]])
    parts, error, reader = read(chunks_of(SSE[name].replace(b"\n", end), cuts))
    assert kept(parts) == kept(whole) and spoken(parts) == spoken(whole)
    assert error is failure is None and reader.finished


@given(spoilt(SSE), st.lists(st.integers(0), max_size=5))
@example(b"data: {}\n\n" * 3, [])
def test_a_spoilt_stream_is_an_answer_or_one_error(stream: bytes, cuts: list[int]):
    is_sound(*read(chunks_of(stream, cuts)))


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
VALUES = [stream.chunks for stream in STREAMS.values()]


@st.composite
def of_any_shape(draw: st.DrawFn) -> list[bytes]:
    """A stream of which any values are any others."""

    def changed(value: Any) -> Any:
        if draw(st.integers(0, 25)) == 0:
            return draw(anything)
        if isinstance(value, dict):
            return {key: changed(it) for key, it in value.items()}
        return [changed(it) for it in value] if isinstance(value, list) else value

    chunks = [changed(it) for it in draw(st.sampled_from(VALUES))]
    return [*(json.dumps(it).encode() for it in chunks), b"[DONE]"]


@given(of_any_shape())
def test_values_of_any_type_anywhere_are_an_answer_or_one_error(data: list[bytes]):
    is_sound(*read([b"data: %b\n\n" % it for it in data]))


@given(of_any_shape())
def test_a_body_of_any_shape_is_read_as_a_stream_or_as_none(data: list[bytes]):
    events = events_of_completion(data[0])
    if events is not None:
        is_sound(*read([b"data: %b\n\n" % it for it in events]))


@given(names, st.integers(0), st.integers(0, 2))
def test_a_stream_that_was_cut_anywhere_has_no_call_but_a_whole_one(name: str, at: int, lost: int):
    frames = SSE[name].split(b"\n\n")
    end = at % len(frames)
    stream = b"\n\n".join(frames[: end + 1])
    parts, error, reader = read([stream[: len(stream) - lost]])
    calls = [part for part in parts if isinstance(part, FunctionCall)]
    assert not calls or reader.finished
    assert all(isinstance(loads(call.arguments.encode()), dict) for call in calls)
    assert error is None or isinstance(error, ModelError)
