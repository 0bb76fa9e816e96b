"""Odd values that servers send: each reader takes them, and none spoils what comes after."""

import json
from typing import Any

import pytest

from inkernel.agent.config.settings import Settings
from inkernel.agent.dialects.chat import Chat
from inkernel.agent.dialects.chat_stream import ChatReader
from inkernel.agent.dialects.dialect import Reader, ResponseDone
from inkernel.agent.dialects.messages_stream import MessagesReader
from inkernel.agent.dialects.native import with_native
from inkernel.agent.dialects.received import as_count, usage_of
from inkernel.agent.dialects.request import Request
from inkernel.agent.dialects.responses_stream import ResponseReader
from inkernel.agent.errors import AnswerRefusedError, IncompleteError
from inkernel.agent.protocol.events import Usage
from inkernel.agent.protocol.items import Item, message, text_part
from inkernel.agent.providers.catalog import Capabilities, speaking
from inkernel.agent.providers.resolve import Target

LONG = "x" * 1_000_000


def read(reader: Reader, *events: Any) -> list[Any]:
    data = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return [*reader.read_all(data), *reader.closed()]


def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}


@pytest.mark.parametrize(
    ("value", "count"),
    [(5, 5), (5000.0, 5000), (-1, 0), (10**20, 0), (float("inf"), 0), ("5", 0), (None, 0)],
)
def test_a_count_is_a_number_that_can_be_one(value: object, count: int):
    assert as_count(value) == count


def test_a_cache_holds_no_more_than_the_input():
    counts = {"input": 10, "cached": 12, "written": 5, "output": 1, "reasoning": 0}
    assert usage_of(counts) == Usage(input=10, cached=10, written=0, output=1)
    counts |= {"cached": 4, "written": 9}
    assert usage_of(counts) == Usage(input=10, cached=4, written=6, output=1)


@pytest.mark.parametrize("input_tokens", [-1, 10**20, 7.0])
def test_each_reader_counts_alike(input_tokens: float):
    usage = {"input_tokens": input_tokens, "output_tokens": 3}
    ends = [
        read(
            ResponseReader("s", "m"),
            {"type": "response.completed", "response": {"output": [], "usage": usage}},
        ),
        read(
            MessagesReader("s", "m"),
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
            {"type": "message_stop"},
        ),
        read(
            ChatReader("s", "m"),
            chunk(
                {"content": "x"},
                "stop",
                usage={"prompt_tokens": input_tokens, "completion_tokens": 3},
            ),
            b"[DONE]",
        ),
    ]
    found = [parts[-1].usage for parts in ends if isinstance(parts[-1], ResponseDone)]
    expected = Usage(input=7 if input_tokens == 7.0 else 0, output=3)
    assert found == [expected] * 3


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_a_constant_that_json_has_not_goes_back_as_null(constant: bytes):
    item = with_native({"type": "reasoning", "summary": []}, "chat", b'{"score":%b}' % constant)
    assert json.loads(item.wire, parse_constant=pytest.fail)
    assert item.native == {"chat": {"score": None}}


def test_a_number_beyond_floats_goes_back_as_it_came():
    item = with_native({"type": "reasoning", "summary": []}, "chat", b'{"score":1e999}')
    assert b'{"score":1e999}' in item.wire


def test_a_completion_with_such_numbers_is_followed_by_valid_requests():
    call = {"index": 0, "id": "c", "function": {"name": "t", "arguments": "{}"}}
    odd = json.dumps(chunk({"tool_calls": [{**call, "extra_content": {"p": "@"}}]}, "tool_calls"))
    parts = read(ChatReader("s", "m"), odd.replace('"@"', "1e999").encode(), b"[DONE]")
    target = Target("s", "http://127.0.0.1:9/v1", "m", traits=speaking(Capabilities(), "chat"))
    items = bytearray(message("user", text_part("Go.")).wire)
    for item in (part for part in parts if isinstance(part, Item)):
        items += b"," + item.wire
    body = Chat(target, Settings()).body(Request.of(b'"model":"m"', items))
    assert json.loads(body, parse_constant=pytest.fail)["messages"][1]["tool_calls"]


@pytest.mark.parametrize(
    ("reason", "error"),
    [("content_filter: " + LONG, AnswerRefusedError), ("length " + LONG, IncompleteError)],
)
def test_a_server_s_reason_is_told_in_part(reason: str, error: type[Exception]):
    with pytest.raises(error) as raised:
        read(ChatReader("s", "m"), chunk({"content": "x"}, reason), b"[DONE]")
    assert len(str(raised.value)) < 1_000


def test_what_could_not_be_translated_is_translated_the_next_time():
    target = Target("s", "http://127.0.0.1:9/v1", "m", traits=speaking(Capabilities(), "chat"))
    good = message("user", text_part("Go.")).wire
    items = bytearray(good)
    chat = Chat(target, Settings())
    items += b',{"type":"message","role":"user","content":NaN}'
    with pytest.raises(ValueError):
        chat.body(Request.of(b'"model":"m"', items))
    del items[len(good) :]
    items += b"," + message("user", text_part("Again.")).wire
    body = chat.body(Request.of(b'"model":"m"', items))
    assert b"Go." in body
    assert b"Again." in body
