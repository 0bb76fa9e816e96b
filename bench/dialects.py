"""Measures each dialect: to write a request's body and to read its answer, and the cache's price.

A step is a thought and a call, and an output of 2 KB. Times are the thread's own, without a server.
Tokens and their cached part are those of the scripted server, which has a cache as each API has it.
Messages has it by its marks, the others by the longest known beginning.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import get_args

from inkernel.agent.config.settings import DialectName, Settings
from inkernel.agent.context.changes import Environment, Snapshot
from inkernel.agent.conversation.history import Entry, History
from inkernel.agent.conversation.journal import Journal
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.state import Conversation
from inkernel.agent.dialects.known import open_dialect
from inkernel.agent.dialects.request import Request
from inkernel.agent.loop import turn
from inkernel.agent.protocol.actions import Verdict
from inkernel.agent.protocol.items import FunctionCall, Item, call_output, message, text_part
from inkernel.agent.protocol.verbatim_json import dumps
from inkernel.agent.providers.catalog import Capabilities, speaking
from inkernel.agent.providers.resolve import Target
from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer
from inkernel.agent.seams import Seams
from inkernel.agent.session import Prompt, Session
from inkernel.agent.testing import answer, repeat_code
from inkernel.agent.tools.run_cell import run_cell_tool
from inkernel.agent.transport.client import Client

DIALECTS: tuple[DialectName, ...] = get_args(DialectName)
LENGTHS = (10, 200, 2_000)
"""Steps of a conversation in which a request is measured."""
LAST = 10
"""Requests in the median."""
OUTPUT = "123.45 mm of rain in the week\n" * 68
"""About 2 KB."""
THOUGHT = "I look at the next week of the table, and add it to the sum. "
CACHED = 0.1
WRITTEN = {"responses": 1.0, "messages": 1.25, "chat": 1.0}
"""Prices of input, in parts of the price of fresh input. Only Anthropic bills what it writes."""


def measure(quick: bool) -> dict[str, float]:
    """Milliseconds of a body and of an answer by length, and the cached share and price."""
    found: dict[str, float] = {}
    for dialect in DIALECTS:
        for steps in LENGTHS:
            wrote, read = _measured(dialect, LAST if quick else steps)
            found |= {f"{dialect} write {steps}": wrote, f"{dialect} read {steps}": read}
            found[f"{dialect} ms {steps}"] = wrote + read
        for steps, calls in ((200, 1), (20, 14)):
            share, price = asyncio.run(_priced(dialect, 3 if quick else steps, calls))
            name = f"{dialect} {calls}"
            found |= {f"{name} share": share, f"{name} price": price}
    return found


def _target(dialect: DialectName, address: str = "http://127.0.0.1:9/v1") -> Target:
    return Target("canned", address, "canned", traits=speaking(Capabilities(), dialect))


def _measured(dialect: DialectName, steps: int) -> tuple[float, float]:
    """The median milliseconds to write a body and to read its answer, after so many steps."""
    spoken = open_dialect(_target(dialect), Settings())
    fields = dumps({"model": "canned", "instructions": "Be brief.", "tools": []})[1:-1]
    history = History()
    history.append(Entry(message("user", text_part("Add up the rain.")), 1, None, "said"))
    wrote: list[float] = []
    read: list[float] = []
    for step in range(steps):
        request = Request.of(fields, history.wire)
        started = time.thread_time()
        spoken.body(request)
        wrote.append(time.thread_time() - started)
        events = list(_EVENTS[dialect](step))
        started = time.thread_time()
        parts = list(spoken.reader().read_all(events))
        read.append(time.thread_time() - started)
        items = [part for part in parts if isinstance(part, Item)]
        (call,) = (item for item in items if isinstance(item, FunctionCall))
        for item in (*items, call_output(call.call_id, [text_part(OUTPUT)])):
            history.append(Entry(item, 1, None))
    return 1e3 * median(wrote[-LAST:]), 1e3 * median(read[-LAST:])


def _pieces(text: str) -> list[str]:
    """The text in words, as a server sends it."""
    return [f"{word} " for word in text.split()]


def _arguments(step: int) -> str:
    return dumps(
        {"title": f"Add week {step}", "code": f"total += rain.iloc[{step}].sum()"}
    ).decode()


def _responses(step: int) -> Iterator[bytes]:
    thought = {"type": "reasoning", "id": f"rs_{step}", "encrypted_content": "gAAAAB" * 60}
    thought |= {"summary": [{"type": "summary_text", "text": THOUGHT}]}
    call = {"type": "function_call", "id": f"fc_{step}", "call_id": f"call_{step}"}
    call |= {"name": "run_cell", "arguments": _arguments(step)}
    events = [
        {"type": "response.output_item.added", "item": {**thought, "summary": []}},
        *(
            {"type": "response.reasoning_summary_text.delta", "item_id": f"rs_{step}", "delta": it}
            for it in _pieces(THOUGHT)
        ),
        {"type": "response.output_item.done", "item": thought},
        {"type": "response.output_item.added", "item": {**call, "arguments": ""}},
        *(
            {"type": "response.function_call_arguments.delta", "item_id": f"fc_{step}", "delta": it}
            for it in _pieces(_arguments(step))
        ),
        {"type": "response.output_item.done", "item": call},
        {"type": "response.completed", "response": {"id": f"resp_{step}", "output": []}},
    ]
    return map(dumps, events)


def _messages(step: int) -> Iterator[bytes]:
    thought = {"type": "thinking", "thinking": "", "signature": ""}
    call = {"type": "tool_use", "id": f"toolu_{step}", "name": "run_cell", "input": {}}
    deltas = [
        *({"type": "thinking_delta", "thinking": it} for it in _pieces(THOUGHT)),
        {"type": "signature_delta", "signature": "EqQB" * 90},
    ]
    told = ({"type": "input_json_delta", "partial_json": it} for it in _pieces(_arguments(step)))
    start = {"id": f"msg_{step}", "type": "message", "role": "assistant", "content": []}
    delta = {"stop_reason": "tool_use", "stop_sequence": None}
    events = [
        {"type": "message_start", "message": {**start, "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": thought},
        *({"type": "content_block_delta", "index": 0, "delta": it} for it in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": call},
        *({"type": "content_block_delta", "index": 1, "delta": it} for it in told),
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 90}},
        {"type": "message_stop"},
    ]
    return map(dumps, events)


def _chat(step: int) -> Iterator[bytes]:
    def chunk(delta: dict[str, object], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return dumps({"id": f"chatcmpl-{step}", "choices": [choice]})

    def piece(**function: str) -> dict[str, object]:
        own = {"id": f"call_{step}", "type": "function"} if "name" in function else {}
        return {"tool_calls": [{"index": 0, **own, "function": function}]}

    yield chunk({"role": "assistant", "content": ""})
    for it in _pieces(THOUGHT):
        yield chunk({"reasoning_content": it})
    yield chunk(piece(name="run_cell", arguments=""))
    for it in _pieces(_arguments(step)):
        yield chunk(piece(arguments=it))
    yield chunk({}, "tool_calls")
    yield b"[DONE]"


_EVENTS = {"responses": _responses, "messages": _messages, "chat": _chat}


async def _priced(dialect: DialectName, steps: int, calls: int) -> tuple[float, float]:
    """The cached share of all input, and its price in parts of that without a cache."""
    with (
        TemporaryDirectory(prefix="ink") as folder,
        ScriptedServer(_script(steps, calls)) as server,
    ):
        target, settings = _target(dialect, server.base_url), Settings(max_samples=steps + 1)
        client = Client(target, settings)
        record = Record(Path(folder) / "record.jsonl")
        outputs = OutputStore(record)
        session = Session(
            id="bench",
            settings=settings,
            target=target,
            tools=(run_cell_tool(repeat_code(), 10_000, outputs),),
            seams=Seams(client.sample, answer(Verdict(decision="allow", reason="a bench"))),
            journal=Journal(record, Conversation()),
            outputs=outputs,
        )
        place = Environment("/rain", "2026-03-01", "Europe/Berlin", "3.12.4")
        async for _ in turn(session, Prompt("Add up the rain.", Snapshot(place))):
            pass
        used = session.conversation.usage
        await client.close()
        record.close()
    fresh = used.input - used.cached - used.written
    price = fresh + WRITTEN[dialect] * used.written + CACHED * used.cached
    return used.cached / used.input, price / used.input


def _script(steps: int, calls: int) -> Script:
    called = [
        {"name": "run_cell", "arguments": {"title": "t", "code": OUTPUT}} for _ in range(calls)
    ]
    taken = [{"reasoning": THOUGHT, "call": called} for _ in range(steps)]
    return Script.model_validate({"turn": [{"response": [*taken, {"say": "Done."}]}]})
