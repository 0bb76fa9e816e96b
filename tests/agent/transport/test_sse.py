"""Server-sent events: every case of the standard, in any chunks."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.errors import ProtocolError
from inkernel.agent.transport.sse import Decoder

BOM = b"\xef\xbb\xbf"


def decoded(*chunks: bytes) -> list[bytes]:
    decoder = Decoder()
    return [data for chunk in chunks for data in decoder.feed(chunk)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r\n", [b"a", b"b"]),
        (b"data: a\r\n\rdata: b\n\r\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a:b\n\n", [b"a:b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data\n\n", [b""]),
        (b"data:\ndata\n\n", [b"\n"]),
        (b": ping\n\ndata: a\n: ping\n\n", [b"a"]),
        (b"event: x\nid: 1\nretry: 5\nother\ndata: a\n\n", [b"a"]),
        (b"event: x\n\n", []),
        (b"\n\n\ndata: a\n\n\n", [b"a"]),
        (BOM + b"data: a\n\n", [b"a"]),
        (b"\n" + BOM + b"data: a\n\n", []),
        (BOM + BOM + b"data: a\n\n", []),
        (b"data: a\n\ndata: cut off", [b"a"]),
        (b" data: a\nDATA: b\ndatas: c\n\n", []),
        ("data: grün 雨\n\n".encode(), ["grün 雨".encode()]),
        (
            b"data: a\x00\x0b\x0c\x1c\xc2\x85\xe2\x80\xa8b\n\n",
            [b"a\x00\x0b\x0c\x1c\xc2\x85\xe2\x80\xa8b"],
        ),
    ],
)
def test_the_standard_is_kept_whole_and_byte_by_byte(stream: bytes, events: list[bytes]):
    assert decoded(stream) == events
    assert decoded(*(stream[at : at + 1] for at in range(len(stream)))) == events


lines = st.sampled_from(
    [b"data: x", b"data", b"data:", b": comment", b"event: e", b"", b"", "data: 雨".encode(), BOM]
)
streams = st.lists(st.tuples(lines, st.sampled_from([b"\n", b"\r", b"\r\n"]))).map(
    lambda pairs: b"".join(line + end for line, end in pairs)
)


@given(st.sampled_from([b"", BOM]), streams, st.data())
def test_any_chunks_give_the_same_events(start: bytes, rest: bytes, data: st.DataObject):
    # A CR at the very end may be half of a CRLF; a LF after it settles what it was.
    stream = start + rest + b"\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decoded(*chunks) == decoded(stream)


def test_an_event_is_given_as_soon_as_its_blank_line_is_there():
    decoder = Decoder()
    assert list(decoder.feed(b"data: a\n")) == []
    assert list(decoder.feed(b"\nda")) == [b"a"]
    assert list(decoder.feed(b"ta: b\n\n")) == [b"b"]


@pytest.mark.parametrize("line", [b"data: 12345", b"data: 123\ndata: 456\n", b": long comment"])
def test_an_event_above_the_bound_is_refused(line: bytes):
    with pytest.raises(ProtocolError, match="more than 5 bytes"):
        list(Decoder(max_event=5).feed(line))


def test_the_bound_is_for_one_event_not_for_the_stream():
    assert len(list(Decoder(max_event=10).feed(b"data: 123\n\n" * 100))) == 100


@pytest.mark.timeout(60)
def test_a_huge_event_in_tiny_chunks_is_looked_at_once():
    # Looking at all that is there at each chunk would take some minutes.
    size = 16 * 2**20
    decoder = Decoder()
    for _ in range(size // 64):
        assert list(decoder.feed(b"x" * 64)) == []
    assert list(decoder.feed(b"\n\ndata: a\n\n")) == [b"a"]


def test_what_was_complete_before_an_event_above_the_bound_is_given():
    events = Decoder(max_event=10).feed(b"data: a\n\ndata: 0123456789\n\n")
    assert next(events) == b"a"
    with pytest.raises(ProtocolError):
        next(events)


def test_a_carriage_return_ends_an_event_at_once():
    decoder = Decoder()
    assert list(decoder.feed(b"data: a\r\r")) == [b"a"]
    assert list(decoder.feed(b"\ndata: b\r\n\r")) == [b"b"]
    assert list(decoder.feed(b"\ndata: c\r\n\r\n")) == [b"c"]


def standard(stream: bytes) -> list[bytes]:
    """The data of each event, line by line in the words of the standard."""
    events: list[bytes] = []
    data: list[bytes] = []
    for line in re.split(b"\r\n|\n|\r", stream.removeprefix(BOM))[:-1]:
        if not line:
            events += [b"\n".join(data)] if data else []
            data = []
            continue
        name, _, value = line.partition(b":")
        data += [value.removeprefix(b" ")] if name == b"data" else []
    return events


@given(st.sampled_from([b"", BOM]), streams)
def test_any_stream_is_read_by_the_letter_of_the_standard(start: bytes, stream: bytes):
    assert decoded(start + stream) == standard(start + stream)
