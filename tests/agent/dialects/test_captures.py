"""Streams that real servers sent, replayed: the items, the usage or the error that each is."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.dialects.responses_stream import ResponseReader
from inkernel.agent.errors import ModelError
from inkernel.agent.protocol.events import Usage
from inkernel.agent.protocol.items import FunctionCall, Item, Message, Reasoning
from inkernel.agent.transport.sse import Decoder

FOLDER = Path(__file__).parent / "captures"
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))


def told(part: SamplePart) -> Any:
    match part:
        case Message():
            return {"says": part.text}
        case FunctionCall():
            return {"calls": part.name, "with": json.loads(part.arguments)}
        case Reasoning():
            return {"thinks": "\n".join(part.paragraphs)}
        case ResponseDone():
            return {"usage": _counts(part.usage) if part.usage else None}
        case _:
            raise AssertionError(part)


def _counts(usage: Usage) -> dict[str, int]:
    """The counts of the server. None of them is an estimate."""
    counts = asdict(usage)
    assert counts.pop("estimated") == 0
    return counts


def replay(stream: bytes, chunk: int) -> list[Any]:
    """What a stream says when it comes in pieces of `chunk` bytes."""
    decoder, reader = Decoder(), ResponseReader("server", "model")
    said: list[Any] = []
    try:
        for at in range(0, len(stream), chunk):
            for part in reader.read_all(decoder.feed(stream[at : at + chunk])):
                said += [told(part)] if isinstance(part, Item | ResponseDone) else []
    except ModelError as error:
        said.append({"error": type(error).__name__})
    return said


@pytest.mark.parametrize("chunk", [1, 7, 100, 1_000_000])
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sse")), ids=lambda path: path.stem)
def test_a_real_servers_stream_is_read_as_what_it_is(path: Path, chunk: int):
    assert replay(path.read_bytes() + b"\n\n", chunk) == EXPECTED[path.stem]


def test_every_expectation_has_its_stream():
    assert EXPECTED.keys() == {path.stem for path in FOLDER.glob("*.sse")}
