"""Streams in any chunks, and streams spoilt in any way: items, or one clear error."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inkernel.agent.dialects.dialect import Reader, SamplePart
from inkernel.agent.dialects.responses_stream import ResponseReader
from inkernel.agent.errors import ModelError
from inkernel.agent.protocol.items import Item
from inkernel.agent.protocol.verbatim_json import loads

from .spoiling import check_sound, chunks_of, kept, read_chunks, spoilt, spoken

FOLDER = Path(__file__).parent / "captures"


def frame(kind: bytes, fields: bytes) -> bytes:
    return b'event: response.%b\ndata: {"type":"response.%b",%b}\n\n' % (kind, kind, fields)


EVERY_KIND = b"".join(
    (
        b": a server that tells all it does\n\n",
        frame(b"created", b'"response":{"id":"resp_1","status":"queued","output":[]}'),
        frame(b"output_item.added", b'"item":{"type":"web_search_call","id":"ws_1"}'),
        frame(b"web_search_call.searching", b'"item_id":"ws_1","output_index":0'),
        frame(
            b"output_item.done",
            rb'"item":{"type":"web_search_call","id":"ws_1","n":1e0,"q":"\ud83d\/","action":{}}',
        ),
        frame(b"code_interpreter_call_code.delta", b'"item_id":"ci_1","delta":"1 + "'),
        frame(b"code_interpreter_call_code.delta", b'"item_id":"ci_1","delta":"1"'),
        frame(b"output_item.done", b'"item":{"type":"code_interpreter_call","id":"ci_1"}'),
        frame(b"reasoning_summary_text.delta", b'"summary_index":0,"delta":"Hm."'),
        frame(b"output_item.done", b'"item":{"type":"reasoning","encrypted_content":"x"}'),
        frame(
            b"output_item.added",
            b'"item":{"type":"function_call","id":"f","call_id":"c","name":"g"}',
        ),
        frame(b"function_call_arguments.delta", b'"item_id":"f","delta":"{\\"a\\": "'),
        frame(b"function_call_arguments.delta", b'"item_id":"f","delta":"1}"'),
        frame(b"output_text.delta", rb'"item_id":"m","content_index":0,"delta":"Gr\u00fc\u00dfe"'),
        frame(b"output_item.done", b'"item": { "type" : "acme:x", "x" : 1.50 }'),
        frame(b"completed", b'"response":{"id":"resp_1","status":"completed","output":[]}'),
        b"data: [DONE]\n\n",
    )
)
STREAMS = {path.stem: path.read_bytes() for path in FOLDER.glob("*.sse")} | {"every": EVERY_KIND}
names = st.sampled_from(sorted(STREAMS))


def read(chunks: list[bytes]) -> tuple[list[SamplePart], ModelError | None, Reader]:
    return read_chunks(ResponseReader("server", "model"), chunks)


@given(names, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0), max_size=30))
def test_any_chunks_of_a_stream_give_the_same_items(name: str, end: bytes, cuts: list[int]):
    stream = STREAMS[name]
    whole, failure, _ = read([stream])
    parts, error, reader = read(chunks_of(stream.replace(b"\n", end), cuts))
    assert kept(parts) == kept(whole)
    assert spoken(parts) == spoken(whole)
    assert str(error) == str(failure)
    assert reader.finished == (failure is None)


def test_a_stream_of_every_kind_is_read_as_what_it_is():
    parts, error, reader = read([EVERY_KIND])
    assert error is None and reader.finished
    assert [part.type for part in parts if isinstance(part, Item)] == [
        *("web_search_call", "code_interpreter_call", "reasoning", "acme:x"),
        *("function_call", "message"),
    ]
    assert spoken(parts) == '1 + 1Hm.{"a": 1}Grüße'


@given(spoilt(STREAMS), st.lists(st.integers(0), max_size=5))
@example(b"data: {}\n\n" * 3, [])
def test_a_spoilt_stream_is_items_or_one_error(stream: bytes, cuts: list[int]):
    check_sound(*read(chunks_of(stream, cuts)))


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_a_stream_that_was_cut_off_is_never_an_answer(name: str):
    stream = STREAMS[name]
    ends = [
        frame for frame in stream.split(b"\n\n") if b"data:" in frame and b"[DONE]" not in frame
    ]
    before = stream[: stream.index(ends[-1]) + len(ends[-1])]
    step = max(1, len(before) // 50)
    for size in range(0, len(before), step):
        _, _, reader = read([before[:size]])
        assert not reader.finished


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_a_byte_that_is_no_utf_8_is_replaced_or_breaks_the_last_event(name: str):
    stream = STREAMS[name].replace(b"data: [DONE]", b"").rstrip(b"\n")
    last = stream.rindex(b"data: {") + 6
    for at in range(last, len(stream), 29):
        parts, error, reader = read([stream[:at] + b"\xff" + stream[at + 1 :] + b"\n\n"])
        assert error is None or (isinstance(error, ModelError) and not reader.finished)
        for part in parts:
            assert not isinstance(part, Item) or loads(part.wire)
