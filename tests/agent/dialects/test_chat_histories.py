"""Any history as Chat Completions: each request keeps the rules, and requests only grow."""

import json
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkernel.agent.dialects.native import with_native
from inkernel.agent.dialects.request import Request
from inkernel.agent.protocol.items import Item, message, parse_item, text_part
from inkernel.agent.protocol.verbatim_json import dumps

from .chat_rules import check, open_part
from .chat_streams import SIGNED, STREAMS
from .test_chat import PLOT, answer, call, chat_of, grown, output, request_of, thought, user
from .test_chat_stream import items_of, read

GOLDEN = Path(__file__).parent / "golden"
words = st.sampled_from(["", " ", "a", "So.", '"\\\n', "é\U0001f600", "a\ud800"])
ids = st.sampled_from(["1", "2", "3", "é", "functions.look:0"])
natives = st.fixed_dictionaries(
    {},
    optional={
        "reasoning_content": words,
        "reasoning": words,
        "reasoning_details": st.just([{"type": "reasoning.text", "text": "a"}]),
        "content": st.just([{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]),
        "extra_content": st.just(SIGNED),
    },
)


def said(role: str, text: str, images: int) -> Item:
    seen = {"type": "input_image", "image_url": PLOT}
    return message(role, text_part(text), *[seen] * images)


def native_call(call_id: str, native: dict[str, Any]) -> Item:
    fields = {"type": "function_call", "call_id": call_id, "name": "look", "arguments": '{"a":1}'}
    return with_native(fields, "chat", dumps(native))


def native_answer(text: str, native: dict[str, Any]) -> Item:
    part = {"type": "output_text", "text": text}
    fields = {"type": "message", "role": "assistant", "content": [part]}
    return with_native(fields, "chat", dumps(native))


signed = st.sampled_from([{}, {"extra_content": SIGNED}])
arguments = st.sampled_from(["{}", '{"a": 1e0}', '{"a', "", "[]", '{"a":NaN}', "null"])
one_item = st.one_of(
    st.builds(said, st.sampled_from(["user", "developer"]), words, st.integers(0, 2)),
    st.builds(answer, words),
    st.builds(native_answer, words, natives),
    st.builds(lambda native: thought(**native), natives),
    st.builds(call, ids, arguments),
    st.builds(native_call, ids, signed),
    st.builds(
        lambda id_, text, images: output(id_, text, images=images), ids, words, st.integers(0, 2)
    ),
    st.just(parse_item({"type": "web_search_call", "id": "ws"})),
)
histories = st.lists(one_item, max_size=14)


@given(histories, st.sets(st.integers(0, 14)))
def test_requests_at_any_points_keep_the_rules_and_begin_with_the_one_before(
    items: list[Item], points: set[int]
):
    chat, request, bodies = chat_of(), request_of(), list[bytes]()
    for n, item in enumerate(items):
        request = grown(request, item)
        if n in points or n == len(items) - 1:
            bodies.append(chat.body(request))
            check(bodies[-1])
    for before, after in pairwise(bodies):
        assert after.startswith(open_part(before))


@st.composite
def turns(draw: st.DrawFn) -> list[list[Item]]:
    """A history as the loop makes it, with a request after each of its lists."""
    steps: list[list[Item]] = []
    for n in range(draw(st.integers(1, 4))):
        steps.append([user(f"question {n}"), *draw(st.lists(st.builds(user, words), max_size=2))])
        for k in range(draw(st.integers(0, 3))):
            calls = [f"{n}-{k}-{c}" for c in range(draw(st.integers(1, 3)))]
            made = [thought(**draw(natives)), answer(draw(words))]
            outputs = [output(it, draw(words), images=draw(st.integers(0, 1))) for it in calls]
            steps.append([*made, *(native_call(it, draw(signed)) for it in calls), *outputs])
        steps[-1].append(answer("Done.")) if draw(st.booleans()) else None
        blank = [thought(reasoning="Hm."), answer(" \n")]
        steps += [blank] if draw(st.booleans()) else []
        steps.append([thought(**draw(natives)), answer("So."), user("Next.")])
    return steps


@given(turns())
def test_a_history_that_grew_is_the_same_when_it_is_translated_anew(steps: list[list[Item]]):
    chat, request = chat_of(), request_of()
    last = b""
    for step in steps:
        request = grown(request, *step)
        if not step[-1].wire.startswith(b'{"type":"message","role":"assistant"'):
            body = chat.body(request)
            check(body)
            assert body == chat_of().body(request)
            assert body.startswith(open_part(last) if last else b"")
            last = body


@given(histories)
@settings(max_examples=50)
def test_no_item_is_lost_that_has_words(items: list[Item]):
    """Whatever the order, each text of a person and each output goes to the model."""
    marked = [
        user("said-0"),
        *items,
        user("said-1"),
        call("x"),
        user("said-2"),
        output("x", "out-x"),
    ]
    body = chat_of().body(request_of(*marked))
    check(body)
    for mark in (b"said-0", b"said-1", b"said-2", b"out-x"):
        assert body.count(mark) == 1


def golden(name: str, body: bytes) -> None:
    """The request, with its shape for people to read, is that of the file."""
    path, text = GOLDEN / f"{name}.json", json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    assert f"{text}\n" == path.read_text(encoding="utf-8")


def conversation(stream: str) -> Request:
    """A person asks, a model looks at a plot, and the person goes on."""
    items = items_of(read(STREAMS[stream].data)[0])
    calls = [it for it in items if it.type == "function_call"]
    outputs = [output(json.loads(it.wire)["call_id"], "Shown.", images=1) for it in calls]
    return request_of(user("<environment>", "Plot it."), *items, *outputs, user("And now?"))


@pytest.mark.parametrize("name", ["gemini", "deepseek", "mistral", "openrouter"])
def test_requests_are_those_of_the_golden_files(name: str):
    body = chat_of().body(conversation(name))
    check(body)
    golden(f"chat_{name}", body)


Spoil = Callable[[dict[str, Any]], object]
BREAKS: dict[str, Spoil] = {
    "an unknown field": lambda it: it.update(top=1),
    "an unknown member": lambda it: it["messages"][1].update(x=1),
    "a second system's message": lambda it: it["messages"].insert(2, it["messages"][0]),
    "a model that begins": lambda it: it["messages"].pop(1),
    "a model that spoke last": lambda it: it["messages"].pop(),
    "a person's two messages": lambda it: it["messages"].append(it["messages"][-1]),
    "a result that is missing": lambda it: it["messages"].pop(3),
    "a result without a call": lambda it: it["messages"].pop(2),
    "an empty text": lambda it: it["messages"][-1].update(content=""),
    "half an argument": lambda it: it["messages"][2]["tool_calls"][0]["function"].update(
        arguments="{"
    ),
    "a call without a name": lambda it: it["messages"][2]["tool_calls"][0]["function"].update(
        name=""
    ),
    "a choice without tools": lambda it: (it.pop("tools"), it.update(tool_choice="auto")),
}


@pytest.mark.parametrize("name", BREAKS)
def test_the_check_finds_each_rule_that_is_broken(name: str):
    made = [call("1"), call("2"), output("1", "x"), output("2", "y"), answer("So."), user("b")]
    request = json.loads(chat_of().body(request_of(user("a"), *made)))
    check(dumps(request))
    BREAKS[name](request)
    with pytest.raises((AssertionError, ValueError, KeyError)):
        check(dumps(request))
