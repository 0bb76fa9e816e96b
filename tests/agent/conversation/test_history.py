"""The conversation only grows, and so do the requests made of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.conversation.history import Entry, History, item_tokens
from inkernel.agent.dialects.request import Request
from inkernel.agent.protocol.items import (
    FunctionCall,
    FunctionCallOutput,
    call_output,
    image_part,
    message,
    parse_item,
    text_part,
)
from inkernel.agent.text.tokens import estimate

call_ids = st.sampled_from("abc")
items = st.one_of(
    st.builds(lambda text: message("user", text_part(text)), st.text()),
    st.builds(lambda id: parse_item({"type": "acme:x", "id": id}), st.text()),
    st.builds(
        lambda id, text: parse_item(
            {"type": "function_call", "call_id": id, "name": "f", "arguments": text}
        ),
        call_ids,
        st.text(),
    ),
    st.builds(lambda id, text: call_output(id, [text_part(text)]), call_ids, st.text()),
)


@given(st.lists(items, min_size=1))
def test_each_request_begins_with_the_one_before(conversation: list[Any]):
    history = History()
    request = Request.of(b'"model":"m"', history.wire).wire(b"")
    for number, item in enumerate(conversation):
        history.append(Entry(item, turn=1, cell=None))
        longer = Request.of(b'"model":"m"', history.wire).wire(b"")
        assert longer.startswith(request.removesuffix(b"]}"))
        assert json.loads(longer)["input"] == [x.model_dump() for x in conversation[: number + 1]]
        request = longer


@given(st.lists(items))
def test_a_call_is_open_until_its_output_comes(conversation: list[Any]):
    history, open_ids = History(), list[str]()
    for item in conversation:
        history.append(Entry(item, 1, None))
        if isinstance(item, FunctionCall) and item.call_id not in open_ids:
            open_ids.append(item.call_id)
        elif isinstance(item, FunctionCallOutput) and item.call_id in open_ids:
            open_ids.remove(item.call_id)
        assert [call.call_id for call in history.open_calls] == open_ids


def test_tokens_add_up():
    history = History()
    entries = [Entry(message("user", text_part("word " * n)), 1, None) for n in (1, 10, 100)]
    for entry in entries:
        history.append(entry)
    assert history.entries == entries
    assert history.tokens == sum(item_tokens(entry.item) for entry in entries)


def test_an_image_costs_the_same_however_large_it_is():
    for length in (1_000, 100_000):
        image = image_part(f"data:image/png;base64,{'A' * length}")
        alone, said = call_output("c", [image]), message("user", image)
        with_text = call_output("c", [text_part("word " * 4), image])
        assert item_tokens(alone) == item_tokens(said) == 1_229
        assert item_tokens(with_text) == 1_229 + estimate("word " * 4)


def test_encrypted_reasoning_costs_what_is_sealed_in_it():
    def thought(sealed: str | None) -> Any:
        return parse_item({"type": "reasoning", "summary": [], "encrypted_content": sealed})

    assert item_tokens(thought("A" * 8_000)) == (6_000 - 650) // 4
    assert item_tokens(thought("A" * 8)) == 0
    assert item_tokens(thought(None)) > 0


def test_the_wire_of_the_history_is_not_copied():
    history = History()
    history.append(Entry(message("user", text_part("x")), 1, None))
    assert history.wire is history.wire
    assert history.wire == history.entries[0].item.wire


@pytest.mark.parametrize("count", [0, 1, 3])
def test_items_are_joined_by_commas(count: int):
    history = History()
    for _ in range(count):
        history.append(Entry(message("user", text_part("x")), 1, None))
    assert len(json.loads(b"[" + bytes(history.wire) + b"]")) == count
