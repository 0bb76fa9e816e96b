"""The Messages dialect against Anthropic's own SDK: what it accumulates is what goes back."""

from typing import Any

import anthropic
import httpx2
import pytest

from inkernel.agent.dialects.dialect import ResponseDone
from inkernel.agent.dialects.messages_stream import MessagesReader, whole_message
from inkernel.agent.protocol.items import FunctionCall, Item
from inkernel.agent.protocol.verbatim_json import dumps

from .messages_rules import check
from .messages_wire import (
    STREAMS,
    Event,
    Window,
    data_of,
    dialect,
    items_in,
    output,
    read,
    said,
)


def accumulated(events: list[Event]) -> Any:
    """The message as the SDK has it at the end."""
    frames = zip(events, data_of(events), strict=True)
    stream = b"".join(
        b"event: %b\ndata: %b\n\n" % (it["type"].encode(), data) for it, data in frames
    )
    headers = {"content-type": "text/event-stream"}
    answer = httpx2.Response(200, headers=headers, content=stream)
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: answer))
    client = anthropic.Anthropic(api_key="key", http_client=http)
    asked: Any = {"role": "user", "content": "Hi."}
    with client.messages.stream(model="m", max_tokens=9, messages=[asked]) as it:
        return it.get_final_message()


def blocks(of: Any) -> list[dict[str, Any]]:
    found = [block.model_dump(exclude_unset=True) for block in of.content]
    return [{name: it for name, it in block.items() if name != "parsed_output"} for block in found]


def outputs(items: list[Item]) -> list[Item]:
    return [output(item.call_id) for item in items if isinstance(item, FunctionCall)]


@pytest.mark.parametrize("size", [1, 3, None])
@pytest.mark.parametrize("name", STREAMS)
def test_what_goes_back_is_what_the_sdk_has(name: str, size: int | None):
    final, by = accumulated(STREAMS[name]), dialect()
    window = Window(said())
    by.body(window.request())
    items = items_in(parts := read(STREAMS[name], size, by.reader()))
    window.add(*items, *outputs(items))
    check(by.body(window.request()))
    assert window.sent(by)[1] == {"role": "assistant", "content": blocks(final)}
    done, usage = parts[-1], final.usage
    assert isinstance(done, ResponseDone) and done.usage
    assert done.usage.output == usage.output_tokens == 50 and done.usage.reasoning == 20
    assert done.usage.cached == usage.cache_read_input_tokens == 2_000
    assert done.usage.written == usage.cache_creation_input_tokens == 100
    assert done.usage.input == 2_104 and done.response_id == final.id
    assert done.more == (name == "paused")


@pytest.mark.parametrize("name", STREAMS)
def test_an_answer_that_came_whole_is_the_same(name: str):
    final = accumulated(STREAMS[name]).model_dump(mode="json", exclude_unset=True)
    for block in final["content"]:
        block.pop("parsed_output", None)
    events = whole_message(dumps(final))
    assert events is not None
    whole = list(MessagesReader("api", "m").read_all(events))
    streamed = read(STREAMS[name])
    assert [type(it) for it in items_in(whole)] == [type(it) for it in items_in(streamed)]
    assert whole[-1] == streamed[-1]
    sent = [
        Window(said(), *(items := items_in(it)), *outputs(items)).sent(dialect("claude-opus-5"))
        for it in (whole, streamed)
    ]
    assert sent[0] == sent[1]


def test_numbers_and_the_order_of_keys_survive():
    items = items_in(read(STREAMS["parallel"]))
    body = dialect().body(Window(said(), *items, *outputs(items)).request())
    assert b'"input":{"what": "a b", "x": 1.0, "y": 1e0}' in body
    assert b'"input":{"z":1,"a":2}' in body
    searched = items_in(read(STREAMS["search"]))
    assert b'"input":{"query": "rain", "n": 1e0}' in dialect().body(
        Window(said(), *searched).request()
    )
