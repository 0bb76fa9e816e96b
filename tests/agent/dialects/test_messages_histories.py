"""Any history is a valid request, and a longer one begins with a shorter one."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.dialects.messages import Messages
from inkernel.agent.protocol.items import Item, image_part, message, parse_item, text_part

from .messages_rules import check
from .messages_wire import (
    SEARCH,
    STREAMS,
    Event,
    Window,
    answered,
    bare,
    called,
    dialect,
    end,
    items_in,
    output,
    read,
    redacted,
    said,
    start,
    text,
    thinking,
    use,
)

texts = st.sampled_from(["Hi.", "", " ", "\n", "雨", "a\ud800b", "Go on."])
ids = st.sampled_from(["a", "b", "c.1", "c_1", "toolu_1"])
models = st.sampled_from(["claude-opus-5-5", "claude-opus-5", "claude-haiku-4-5", "qwen3"])


def foreign(kind: str) -> Item:
    return parse_item({"type": kind, "id": "x", "summary": [], "encrypted_content": "g"})


wild = st.one_of(
    st.builds(said, texts),
    st.builds(lambda it: message("developer", text_part(it)), texts),
    st.builds(
        lambda it: message("user", text_part(it), image_part("data:image/png;base64,AA")), texts
    ),
    st.builds(answered, texts),
    st.builds(called, ids, st.sampled_from(["{}", '{"x":1e0}', "", "x"])),
    st.builds(output, ids, texts),
    st.builds(foreign, st.sampled_from(["reasoning", "web_search_call", "compaction"])),
)
answers = st.sampled_from([items_in(read(events)) for events in STREAMS.values()])
histories = st.lists(st.one_of(wild.map(lambda it: [it]), answers), max_size=8).map(
    lambda several: [item for items in several for item in items]
)


@given(histories, models)
def test_any_history_is_a_valid_request_however_it_grew(items: list[Item], model: str):
    by, window = dialect(model), Window()
    for item in items:
        body = by.body(window.add(item).request())
        check(body)
    assert bare(by.body(window.request())) == bare(dialect(model).body(window.request()))


@given(histories, st.data())
def test_what_is_left_of_a_history_is_a_valid_request(items: list[Item], data: st.DataObject):
    """As after a compaction, a rewind, hidden cells, or lines lost from a record."""
    by = dialect()
    by.body(Window(*items).request())
    kept = [item for item in items if data.draw(st.booleans())]
    check(by.body(Window(*kept).request()))


Blocks = list[Callable[[int, str], list[Event]]]
block_makers: list[Callable[[int, str], list[Event]]] = [
    lambda at, _: thinking(at, "Hm."),
    lambda at, _: redacted(at),
    lambda at, _: text(at, "I look."),
    lambda at, _: text(at, "\n"),
    lambda at, id_: use(at, id_, '{"what": "x"}'),
    lambda at, id_: use(at, id_),
]


@st.composite
def turns(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """A conversation as the loop has it: what is said, and answers, whole or broken."""
    steps: list[tuple[str, Any]] = []
    for _ in range(draw(st.integers(1, 3))):
        steps.append(("said", draw(texts.filter(str.strip))))
        for _ in range(draw(st.integers(1, 4))):
            makers = draw(st.lists(st.sampled_from(block_makers), min_size=1, max_size=5))
            steps.append((draw(st.sampled_from(["whole", "broken", "whole"])), makers))
        steps.append(("whole", [block_makers[2]]))
    return steps


def answer(by: Messages, number: int, makers: Blocks, broken: bool) -> list[Item]:
    """The items that the loop keeps of one answer: no thought that nothing follows."""
    events = [start(f"msg_{number}")]
    for at, make in enumerate(makers):
        events += make(at, f"toolu_{number}_{at}")
    items = items_in(read(events if broken else [*events, *end()], by=by.reader()))
    while items and items[-1].type == "reasoning":
        items.pop()
    calls = [item.call_id for item in items if hasattr(item, "call_id")]
    return [*items, *map(output, calls)]


@given(turns(), models, st.sampled_from(["5m", "1h"]))
def test_a_request_begins_with_the_last_one(steps: list[tuple[str, Any]], model: str, ttl: str):
    by, window, last = dialect(model, cache_ttl=ttl), Window(), b""
    for number, (kind, value) in enumerate(steps):
        if kind == "said":
            window.add(said(value))
            last = b"" if last.endswith(b'"Go on."}') else last  # nobody asked to go on
            continue
        body = by.body(window.request())
        check(body)
        messages = bare(body)[body.index(b'"messages":[') :]
        assert messages.startswith(last)
        last = messages
        assert body.count(b'"ttl":"1h"') == (body.count(b"cache_control") if ttl == "1h" else 0)
        window.add(*answer(by, number, value, kind == "broken"))
    assert bare(by.body(window.request())) == bare(dialect(model).body(window.request()))


@given(turns())
def test_every_thought_goes_back_as_long_as_nothing_changes(steps: list[tuple[str, Any]]):
    """But for one after a blank text, which cannot go back: then it would be refused."""
    by, window, given_back = dialect(), Window(), 0
    for number, (kind, value) in enumerate(steps):
        if kind == "said":
            window.add(said(value))
            continue
        by.body(window.request())
        items = answer(by, number, [it for it in value if it is not block_makers[3]], False)
        given_back += sum(item.type == "reasoning" for item in items)
        window.add(*items)
    sent = json.loads(by.body(window.request()))["messages"]
    kinds = [block["type"] for it in sent for block in it["content"]]
    assert sum(kind.endswith("thinking") for kind in kinds) == given_back


def test_a_search_of_the_servers_stays_in_its_place():
    events = [start(), *SEARCH, *text(3, "Rain."), *end()]
    window = Window(said(), *items_in(read(events)), said("And?"))
    check(dialect().body(window.request()))
