"""A turn as its events, the way a loop sends them."""

import json
import struct
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from inkernel.agent.protocol.actions import Verdict
from inkernel.agent.protocol.cells import DisplayOutput, ErrorOutput, StreamOutput
from inkernel.agent.protocol.events import (
    CallDelta,
    Compacted,
    Compacting,
    Event,
    ItemDone,
    OutputShown,
    ReasoningDelta,
    SampleEnded,
    SampleStarted,
    TextDelta,
    ToolEnded,
    ToolStarted,
    TurnEnded,
    TurnStarted,
    Usage,
    VerdictGiven,
)
from inkernel.agent.protocol.items import parse_item


@pytest.fixture
def said() -> Callable[[str], ItemDone]:
    """A finished message of the model."""

    def make(text: str) -> ItemDone:
        part = {"type": "output_text", "text": text}
        data = {"type": "message", "role": "assistant", "content": [part]}
        return ItemDone(item=parse_item(data))

    return make


@pytest.fixture
def called() -> Callable[..., ItemDone]:
    """A finished call: id, tool, arguments."""

    def make(call_id: str, name: str, **arguments: Any) -> ItemDone:
        text = json.dumps(arguments)
        data = {"type": "function_call", "call_id": call_id, "name": name, "arguments": text}
        return ItemDone(item=parse_item(data))

    return make


@pytest.fixture
def png() -> str:
    """The header of a PNG of 640×480, in base64."""
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480)
    return b64encode(header + bytes(9)).decode()


@pytest.fixture
def making() -> Compacting:
    """The window is found too full."""
    return Compacting(tokens=26_012, window=32_000)


@pytest.fixture
def made() -> Compacted:
    """The same window, shorter."""
    return Compacted(
        before=26_012,
        after=10_944,
        dropped="3 long outputs cut, 12 runs in the digest",
        notes="model",
        usage=Usage(input=20_000, cached=19_000, output=400),
        seconds=12.3,
    )


@pytest.fixture
def turn(said: Callable[[str], ItemDone], called: Callable[..., ItemDone], png: str) -> list[Event]:
    """Thought, words, a look, a cell with text, figure and error, an answer."""
    code = {"title": "Plot it", "code": "print('hello')\nplot()"}
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "**Plan**\n\nA."}]}
    return [
        TurnStarted(session="s", turn=2, model="model-1", provider="local"),
        SampleStarted(sample=1, size=10),
        ReasoningDelta(text="**Plan**"),
        ItemDone(item=parse_item(thought)),
        TextDelta(text="I will "),
        TextDelta(text="look."),
        said("I will look."),
        called("c1", "inspect", names=["df"]),
        ToolStarted(call_id="c1", name="inspect", arguments={"names": ["df"]}),
        ToolEnded(call_id="c1", status="ok", text="df: 3 rows", seconds=0.25),
        CallDelta(call_id="c2", name="run_cell", text='{"title": "Plot it", "code": "print('),
        called("c2", "run_cell", **code),
        SampleEnded(sample=1, usage=Usage(input=1000, cached=800, output=50), seconds=1.5),
        VerdictGiven(call_id="c2", verdict=Verdict(decision="allow", reason="policy auto")),
        ToolStarted(call_id="c2", name="run_cell", arguments=code),
        OutputShown(call_id="c2", output=StreamOutput(name="stdout", text="hello\n")),
        OutputShown(call_id="c2", output=DisplayOutput(data={"image/png": png})),
        OutputShown(
            call_id="c2",
            output=ErrorOutput(ename="E", evalue="bad", traceback=("\x1b[31mE\x1b[0m: bad",)),
        ),
        ToolEnded(call_id="c2", status="error", text="told to the model", seconds=0.75),
        SampleStarted(sample=2, size=20),
        TextDelta(text="All **done**."),
        said("All **done**."),
        SampleEnded(sample=2, usage=Usage(input=2000, output=10), seconds=2.5),
        TurnEnded(
            status="completed",
            answer="All **done**.",
            usage=Usage(input=3000, cached=800, output=60),
            cost=0.0123,
            seconds=6.5,
            samples=2,
        ),
    ]
