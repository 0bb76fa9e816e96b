"""Streams read in any chunks, and spoilt in any way, for the readers of every API."""

from collections.abc import Mapping
from itertools import pairwise

from hypothesis import strategies as st

from inkernel.agent.dialects.dialect import Reader, ResponseDone, SamplePart
from inkernel.agent.errors import ModelError
from inkernel.agent.protocol.items import Item
from inkernel.agent.protocol.verbatim_json import loads
from inkernel.agent.transport.sse import Decoder

MOST_MOVED = 40
"""Frames of the longest stream whose frames are put in another order."""


def read_chunks(
    reader: Reader, chunks: list[bytes]
) -> tuple[list[SamplePart], ModelError | None, Reader]:
    """The parts of the chunks and, if they fail, the error. Any other exception travels."""
    decoder = Decoder()
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


def check_sound(parts: list[SamplePart], error: ModelError | None, reader: Reader) -> list[Item]:
    """An end or a clear error but never both, and items in one line. Returns the items."""
    assert not (error and reader.finished)
    assert sum(isinstance(part, ResponseDone) for part in parts) == reader.finished
    items = [part for part in parts if isinstance(part, Item)]
    for item in items:
        assert b"\n" not in item.wire
        assert loads(item.wire)["type"] == item.type
    if error:
        assert error.message and len(error.message) < 1_000
    return items


@st.composite
def spoilt(draw: st.DrawFn, streams: Mapping[str, bytes]) -> bytes:
    """A stream with bytes flipped, left out, put in, said twice, cut off, or another's."""
    names = st.sampled_from(sorted(streams))
    stream = streams[draw(names)]
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
                other = streams[draw(names)]
                stream = head + other[draw(st.integers(0, len(other))) :]
            case _:
                frames = stream.split(b"\n\n")
                moved = draw(st.permutations(frames)) if len(frames) < MOST_MOVED else frames
                stream = b"\n\n".join(moved)
    return stream
