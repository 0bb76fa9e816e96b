"""Streams of the Messages API, and what tests of that dialect share. Knows no transport."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from inkernel.agent.config.settings import Settings
from inkernel.agent.context.instructions import make_fields
from inkernel.agent.dialects.dialect import SamplePart
from inkernel.agent.dialects.messages import Messages
from inkernel.agent.dialects.messages_stream import MessagesReader
from inkernel.agent.dialects.request import Request
from inkernel.agent.protocol.items import Item, call_output, message, parse_item, text_part
from inkernel.agent.protocol.verbatim_json import dumps
from inkernel.agent.providers.catalog import Capabilities
from inkernel.agent.providers.resolve import Target
from inkernel.agent.tools.schema import FieldsOf
from inkernel.agent.tools.tool import Tool, ToolCall, ToolOutput, always, text_output

Event = dict[str, Any]

SPEAKS = Capabilities(dialect="messages", key_headers=("x-api-key",))
MODEL = "claude-opus-5-5"


class Look(BaseModel):
    """The arguments of the one tool here."""

    what: str = ""


async def look(_call: ToolCall, arguments: Look) -> ToolOutput:
    return text_output(arguments.what)


TOOL = Tool("look", "Looks at a thing.", FieldsOf(Look), look, always("look"))


def target(model: str = MODEL, **more: Any) -> Target:
    return Target("anthropic", "https://api.anthropic.com/v1", model, traits=SPEAKS, **more)


def dialect(model: str = MODEL, **choices: Any) -> Messages:
    return Messages(target(model), Settings(**choices))


def fields(model: str = MODEL, **choices: Any) -> bytes:
    return make_fields(target(model), Settings(**choices), [TOOL], "s")


FIELDS = fields()


class Window:
    """A history as it grows: one bytearray, as the window keeps it."""

    def __init__(self, *items: Item, head: bytes = FIELDS) -> None:
        self.head = head
        self.items: list[Item] = []
        self.wire = bytearray()
        self.add(*items)

    def add(self, *items: Item) -> "Window":
        for item in items:
            self.items.append(item)
            self.wire += (b"," if self.wire else b"") + item.wire
        return self

    def request(self) -> Request:
        return Request.of(self.head, self.wire)

    def sent(self, by: Messages | None = None) -> list[Any]:
        """The messages of a request, without marks."""
        body = json.loads((by or dialect()).body(self.request()))
        for block in (it for said in body["messages"] for it in said["content"]):
            block.pop("cache_control", None)
        return body["messages"]


def said(text: str = "Hi.") -> Item:
    return message("user", text_part(text))


def answered(text: str) -> Item:
    """An answer as another API gave it."""
    part = {"type": "output_text", "text": text}
    return parse_item({"type": "message", "role": "assistant", "content": [part]})


def called(call_id: str, arguments: str = "{}", name: str = "look") -> Item:
    """A call as another API gave it."""
    made = {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
    return parse_item(made)


def output(call_id: str, text: str = "seen") -> Item:
    return call_output(call_id, [text_part(text)])


def start(id_: str = "msg_1", **usage: int) -> Event:
    counted = {"input_tokens": 4, "cache_creation_input_tokens": 100, "output_tokens": 1}
    counted |= {"cache_read_input_tokens": 2_000, **usage}
    about = {"type": "message", "role": "assistant", "model": MODEL, "content": []}
    ended = {"stop_reason": None, "stop_sequence": None}
    return {"type": "message_start", "message": {"id": id_, **about, **ended, "usage": counted}}


def end(stop: str | None = "end_turn", **more: Any) -> list[Event]:
    usage = {"output_tokens": 50, "output_tokens_details": {"thinking_tokens": 20}}
    delta = {"stop_reason": stop, "stop_sequence": None, **more}
    return [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]


def block(index: int, first: Event, *deltas: Event) -> list[Event]:
    return [
        {"type": "content_block_start", "index": index, "content_block": first},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(index: int, *pieces: str) -> list[Event]:
    grown = ({"type": "text_delta", "text": piece} for piece in pieces)
    return block(index, {"type": "text", "text": ""}, *grown)


def thinking(index: int, *pieces: str, signature: str = "EqQB+/==") -> list[Event]:
    grown = ({"type": "thinking_delta", "thinking": piece} for piece in pieces)
    signed = {"type": "signature_delta", "signature": signature}
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, *grown, signed)


def redacted(index: int, data: str = "EmwKAhgB") -> list[Event]:
    return block(index, {"type": "redacted_thinking", "data": data})


def use(index: int, id_: str, *pieces: str, name: str = "look") -> list[Event]:
    grown = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
    return block(index, {"type": "tool_use", "id": id_, "name": name, "input": {}}, *grown)


SEARCH = [
    *block(
        1,
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"query": "ra'},
        {"type": "input_json_delta", "partial_json": 'in", "n": 1e0}'},
    ),
    *block(
        2,
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [
                {
                    "type": "web_search_result",
                    "url": "https://example.org",
                    "title": "Rain",
                    "encrypted_content": "Eqgf",
                    "page_age": None,
                }
            ],
        },
    ),
]
CITED = block(
    3,
    {"type": "text", "text": "", "citations": []},
    {"type": "text_delta", "text": "Rain "},
    {
        "type": "citations_delta",
        "citation": {
            "type": "web_search_result_location",
            "cited_text": "rain",
            "encrypted_index": "Eo8B",
            "title": "Rain",
            "url": "https://example.org",
        },
    },
    {"type": "text_delta", "text": "fell."},
)
PING: Event = {"type": "ping"}
STREAMS: dict[str, list[Event]] = {
    "text": [start(), PING, *text(0, "Gr", "üße ", "雨"), *end()],
    "thoughts": [
        start(),
        *thinking(0, "Let me ", "see “é”."),
        *redacted(1),
        PING,
        *text(2, "Hel", "lo"),
        *end(),
    ],
    "begun": [
        start(),
        *block(
            0,
            {"type": "thinking", "thinking": "Let ", "signature": "s0"},
            {"type": "thinking_delta", "thinking": "me see."},
            {"type": "signature_delta", "signature": "s1"},
            {"type": "signature_delta", "signature": "s2"},
        ),
        *block(1, {"type": "text", "text": "Hel"}, {"type": "text_delta", "text": "lo"}),
        *block(2, {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"what": "a"}}),
        *end("tool_use"),
    ],
    "parallel": [
        start(),
        *thinking(0, "Hm."),
        *text(1, "I look."),
        *use(2, "toolu_1", "", '{"what": "a', ' b", "x": 1.0, "y": 1e0}'),
        *use(3, "toolu_2", '{"z":1,"a":2}'),
        *use(4, "toolu_3"),
        *end("tool_use"),
    ],
    "interleaved": [
        start(),
        *thinking(0, "One.", signature="s1"),
        *use(1, "toolu_1", '{"what":"a"}'),
        *thinking(2, signature="s2"),
        *use(3, "toolu_2", '{"what":"b"}'),
        *end("tool_use"),
    ],
    "search": [start(), *thinking(0, "Hm."), *SEARCH, *CITED, *end()],
    "paused": [start(), *thinking(0, "Hm."), *SEARCH, *end("pause_turn")],
}


def data_of(events: Iterable[Event]) -> list[bytes]:
    return [json.dumps(event, ensure_ascii=False).encode() for event in events]


def read(
    events: Sequence[Event], size: int | None = None, by: MessagesReader | None = None
) -> list[SamplePart]:
    """The parts of a stream that comes in chunks of `size` events."""
    reader, data = by or MessagesReader("api", MODEL), data_of(events)
    size = size or len(data)
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    return [part for chunk in chunks for part in reader.read_all(chunk)]


def items_in(parts: Iterable[SamplePart]) -> list[Item]:
    return [part for part in parts if isinstance(part, Item)]


def bare(body: bytes) -> bytes:
    """A request without marks of the cache, and without the brackets at its end."""
    for mark in ({"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}):
        body = body.replace(b',"cache_control":' + dumps(mark), b"")
    return body.removesuffix(b"]}]}")
