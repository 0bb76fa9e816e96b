"""Histories as the Messages API wants them, whatever made them. Every request keeps the rules."""

import json
from dataclasses import replace
from typing import Any

import pytest

from inkernel.agent.config.settings import Settings
from inkernel.agent.dialects.known import open_dialect
from inkernel.agent.dialects.messages import Messages
from inkernel.agent.protocol.items import Item, image_part, message, parse_item, text_part
from inkernel.agent.protocol.verbatim_json import dumps, loads

from .messages_rules import check
from .messages_wire import (
    MODEL,
    SPEAKS,
    STREAMS,
    Window,
    answered,
    called,
    dialect,
    end,
    items_in,
    output,
    read,
    redacted,
    said,
    start,
    target,
    text,
    thinking,
    use,
)

PNG = "data:image/png;base64,AAAA"


def kinds(messages: list[Any]) -> list[tuple[str, list[str]]]:
    return [(it["role"], [block["type"] for block in it["content"]]) for it in messages]


def sent(*items: Item, model: str = MODEL) -> list[Any]:
    """The messages of these items. Before and after each item, the request is valid, too."""
    window, by = Window(), dialect(model)
    check(by.body(window.request()))
    for item in items:
        check(by.body(window.add(item).request()))
    messages = window.sent(by)
    assert messages == window.sent(dialect(model)), "as if it was translated anew"
    return messages


def test_a_target_that_speaks_messages_gets_this_dialect():
    assert isinstance(open_dialect(target(), Settings()), Messages)
    assert dialect().path == "/messages"


def test_words_of_the_person_are_one_message_until_the_model_answers():
    messages = sent(
        message("user", text_part("<environment/>")),
        message("developer", text_part("Be brief.")),
        said("Look."),
        answered("I see."),
        said("And now?"),
    )
    assert kinds(messages) == [("user", ["text"] * 3), ("assistant", ["text"]), ("user", ["text"])]
    assert messages[0]["content"][1]["text"] == "Be brief."


def test_results_are_the_first_blocks_of_the_next_message():
    messages = sent(
        said(),
        called("a", '{"what": 1e0}'),
        called("b"),
        output("b", "of b"),
        said("Hurry."),
        output("a", "of a"),
        said("Please."),
    )
    assert kinds(messages)[1:] == [
        ("assistant", ["tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result", "text", "text"]),
    ]
    first = messages[2]["content"][0]
    assert first == {"type": "tool_result", "tool_use_id": "b", "content": "of b"}


def test_images_are_in_results_and_in_messages():
    parts = [text_part("plot"), image_part(PNG)]
    result = {"type": "function_call_output", "call_id": "a", "output": parts}
    messages = sent(message("user", *parts), called("a"), parse_item(result))
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    image = {"type": "image", "source": source}
    assert messages[0]["content"] == [{"type": "text", "text": "plot"}, image]
    assert messages[2]["content"][0]["content"] == [{"type": "text", "text": "plot"}, image]


@pytest.mark.parametrize(
    "url", ["data:image/svg+xml;base64,AAAA", "data:text/plain,x", "x", "http://a/b.png"]
)
def test_an_image_of_another_kind_is_a_line_of_text(url: str):
    (block,) = sent(message("user", image_part(url)))[0]["content"]
    assert block["type"] == "text" and "left out" in block["text"]


def test_an_image_at_an_address_stays_one():
    (block,) = sent(message("user", image_part("https://a/b.png")))[0]["content"]
    assert block["source"] == {"type": "url", "url": "https://a/b.png"}


def test_a_model_that_sees_no_images_gets_a_line_for_each():
    blind = replace(target(), traits=replace(SPEAKS, images=False))
    parts = [text_part("plot"), image_part(PNG)]
    result = {"type": "function_call_output", "call_id": "a", "output": parts}
    window = Window(message("user", *parts), called("a"), parse_item(result))
    check((by := Messages(blind, Settings())).body(window.request()))
    user, _, results = window.sent(by)
    for block in (user["content"][1], results["content"][0]["content"][1]):
        assert block["type"] == "text" and "left out" in block["text"]


@pytest.mark.parametrize("nothing", ["", " ", "\n\t"])
def test_what_is_blank_is_left_out(nothing: str):
    messages = sent(
        said(), said(nothing), answered(nothing), called("a"), output("a", nothing), said(nothing)
    )
    assert kinds(messages) == [
        ("user", ["text"]),
        ("assistant", ["tool_use"]),
        ("user", ["tool_result"]),
    ]
    assert messages[2]["content"] == [{"type": "tool_result", "tool_use_id": "a"}]


def test_ids_and_names_of_other_servers_become_ones_that_the_api_takes():
    messages = sent(
        said(),
        called("c.1:0", name="a.b"),
        called("c_1_0", name=""),
        output("c_1_0", "2"),
        output("c.1:0", "1"),
    )
    first, second = messages[1]["content"]
    assert (first["id"], first["name"], second["id"]) == ("c_1_0", "a_b", "c_1_0_2")
    assert second["name"] == "unknown"
    results = {block["tool_use_id"]: block["content"] for block in messages[2]["content"]}
    assert results == {"c_1_0": "1", "c_1_0_2": "2"}


def test_calls_of_one_id_stay_apart():
    one = [called("c"), called("c"), output("c", "1"), output("c", "2")]
    messages = sent(said(), *one, *one)
    ids = [block["id"] for it in messages[1::2] for block in it["content"]]
    assert ids == ["c", "c_2", "c_3", "c_4"]


@pytest.mark.parametrize("arguments", ["", "[]", "nothing", "NaN", '{"a": NaN}', "{", "1", "null"])
def test_arguments_that_are_no_object_become_one(arguments: str):
    messages = sent(said(), called("a", arguments), output("a"))
    assert isinstance(messages[1]["content"][0]["input"], dict)


def test_a_call_without_an_output_gets_one():
    messages = sent(said(), called("a"), answered("Never mind."), said("Go on."))
    assert kinds(messages)[1:] == [
        ("assistant", ["tool_use", "text"]),
        ("user", ["tool_result", "text"]),
    ]
    assert "missing" in messages[2]["content"][0]["content"]
    messages = sent(said(), called("a"), called("b"), output("a"), answered("So."), output("b"))
    assert kinds(messages)[2:] == [
        ("user", ["tool_result", "tool_result"]),
        ("assistant", ["text"]),
        ("user", ["text", "text"]),
    ]
    assert "no longer here" in messages[4]["content"][0]["text"]


def test_an_output_without_its_call_is_text():
    messages = sent(output("gone", "[1, 2]"), said("Why?"))
    assert kinds(messages) == [("user", ["text", "text", "text"])]


def test_a_window_that_begins_with_the_model_begins_with_a_line_before_it():
    messages = sent(called("a"), output("a"))
    assert kinds(messages) == [
        ("user", ["text"]),
        ("assistant", ["tool_use"]),
        ("user", ["tool_result"]),
    ]


def test_a_window_that_ends_with_the_model_ends_with_a_line_after_it():
    assert kinds(sent(said(), answered("I")))[2:] == [("user", ["text"])]
    assert kinds(sent()) == [("user", ["text"])]


def test_an_answer_after_a_broken_one_follows_the_line_that_asked_for_it():
    by, window = dialect(), Window(said())
    by.body(window.request())
    window.add(*items_in(read([start("msg_1"), *text(0, "I ")], by=by.reader())))
    window.add(*items_in(read([start("msg_1"), *text(0, "I begin.")], by=by.reader())))
    first = by.body(window.request())
    again = [start("msg_2"), *thinking(0, "Hm."), *text(1, "Done."), *end()]
    window.add(*items_in(read(again, by=by.reader())))
    second = by.body(window.request())
    assert kinds(loads(second)["messages"])[1:] == [
        ("assistant", ["text", "text"]),
        ("user", ["text"]),
        ("assistant", ["thinking", "text"]),
        ("user", ["text"]),
    ]
    check(second)
    assert first.count(b"Go on.") == 1 and second.count(b"Go on.") == 2


def test_a_paused_turn_goes_on_in_the_same_message():
    by, window = dialect(), Window(said())
    check(by.body(window.request()))
    window.add(*items_in(read(STREAMS["paused"], by=by.reader())))
    check(by.body(window.request()))
    assert window.sent(by)[-1]["role"] == "assistant"
    rest = [start("msg_2"), *text(0, "It rained."), *end()]
    window.add(*items_in(read(rest, by=by.reader())))
    assert kinds(window.sent(by))[1:] == [
        ("assistant", ["thinking", "server_tool_use", "web_search_tool_result", "text"]),
        ("user", ["text"]),
    ]


def test_a_result_of_the_servers_whose_call_is_gone_is_left_out():
    items = items_in(read(STREAMS["search"]))
    assert [it.type for it in items] == [
        *("reasoning", "anthropic:server_tool_use", "anthropic:web_search_tool_result", "message"),
    ]
    assert kinds(sent(said(), *items[2:]))[1] == ("assistant", ["text"])


def test_reasoning_and_items_of_other_apis_are_left_out():
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    theirs = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    own = {"type": "anthropic:x", "inkernel:native": {"chat": {"type": "x"}}}
    odd = {"type": "reasoning", "summary": [], "inkernel:native": {"messages": "no block"}}
    items = [parse_item(it) for it in (sealed, theirs, own, odd)]
    assert kinds(sent(said(), *items, answered("Yes.")))[:2] == [
        ("user", ["text"]),
        ("assistant", ["text"]),
    ]


def test_what_another_dialect_said_is_translated_from_what_it_means():
    call = loads(called("c1", '{"what":"x"}').wire)
    theirs = parse_item({**call, "inkernel:native": {"chat": {"tool_calls": []}}})
    assert sent(said(), theirs, output("c1"))[1]["content"] == [
        {"type": "tool_use", "id": "c1", "name": "look", "input": {"what": "x"}}
    ]


def test_a_thought_that_nothing_follows_is_left_out():
    items = items_in(read([start(), *thinking(0, "Hm."), *text(1, "\n\n"), *end()]))
    assert kinds(sent(said(), *items, said("And?"), model="claude-opus-5")) == [
        ("user", ["text", "text"])
    ]


def test_an_answer_without_an_id_keeps_its_thoughts():
    nameless = {"type": "message_start", "message": {}}
    items = items_in(read([nameless, *thinking(0, "Hm."), *use(1, "t"), *end("tool_use")]))
    messages = sent(said(), *items, output("t"), model="deepseek-v4")
    assert kinds(messages)[1] == ("assistant", ["thinking", "tool_use"])


def conversation(by: Messages, *answers: list[Any]) -> Window:
    """A window in which the model has given these answers, each after a request."""
    window = Window(said())
    for number, events in enumerate(answers):
        by.body(window.request())
        items = items_in(read([start(f"msg_{number}"), *events], by=by.reader()))
        window.add(*items, *(output(it.call_id) for it in items if hasattr(it, "call_id")))
    return window


ANSWERS = (
    [*thinking(0, "One."), *use(1, "toolu_1"), *end("tool_use")],
    [*thinking(0, "Two."), *redacted(1), *use(2, "toolu_2"), *end("tool_use")],
    [*thinking(0, "Three."), *text(1, "Done."), *end()],
)


def thoughts(messages: list[Any]) -> int:
    blocks = [block["type"] for it in messages for block in it["content"]]
    return sum(kind.endswith("thinking") for kind in blocks)


def test_thoughts_go_back_while_nothing_before_them_has_changed():
    window = conversation(by := dialect(), *ANSWERS).add(said("And?"))
    assert thoughts(window.sent(by)) == thoughts(window.sent()) == 4
    again = Window(*window.items)  # as a resumed session has it
    assert thoughts(again.sent()) == 4


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda items: [said("A digest."), *items[4:]], 0),  # compacted
        (lambda items: [*items[:4], *items[7:]], 1),  # a step is hidden
        (lambda items: [*items[:3], output("toolu_1", "cut"), *items[4:]], 1),
        (lambda items: [*items[:1], *items[2:]], 0),  # a thought was lost
        (lambda items: items[:4], 1),  # gone back
    ],
)
def test_thoughts_after_a_change_are_left_out(change: Any, left: int):
    window = conversation(dialect(), *ANSWERS)
    changed = Window(*change(window.items), said("And?"))
    check(dialect().body(changed.request()))
    assert thoughts(changed.sent()) == left
    free = dialect("claude-opus-5")
    check(free.body(changed.request()))
    assert thoughts(changed.sent(free)) >= left  # only newer models bind a thought


def test_thoughts_after_a_change_bind_anew():
    by = dialect()
    window = conversation(by, *ANSWERS)
    changed = Window(said("A digest."), *window.items[4:], said("And?"))
    by.body(changed.request())
    more = [start("msg_9"), *thinking(0, "Four."), *text(1, "Yes."), *end()]
    changed.add(*items_in(read(more, by=by.reader())), said("So?"))
    assert thoughts(changed.sent(by)) == thoughts(changed.sent()) == 1


def test_a_thought_that_was_masked_is_left_out():
    window = conversation(dialect(), *ANSWERS)
    wire = window.items[1].wire.replace(b"One.", b"[masked]")
    window = Window(window.items[0], parse_item(loads(wire), wire), *window.items[2:])
    assert thoughts(window.sent()) == 0


def test_other_instructions_or_tools_leave_thoughts_out():
    by = dialect()
    window = conversation(by, *ANSWERS)
    head = loads(b"{" + window.head + b"}")
    other = {**head, "instructions": "Be brief."}
    same = {**head, "reasoning": {"effort": "low"}}
    for fields, left in ((other, 0), (same, 4), (head, 4), ({**head, "tools": []}, 0)):
        window.head = dumps(fields)[1:-1]
        check(by.body(window.request()))
        assert thoughts(window.sent(by)) == left


def test_a_step_that_began_without_a_thought_is_not_asked_for_one():
    """An older model refuses to go on with a step that begins otherwise."""
    old = "claude-haiku-4-5"
    window = Window(said(), called("a"), output("a"))
    assert "thinking" not in json.loads(dialect(old).body(window.request()))
    check(dialect(old).body(window.request()))
    assert "thinking" in json.loads(dialect(old).body(window.add(said("So?")).request()))
    thought = Window(said(), *items_in(read(STREAMS["interleaved"])))
    thought.add(output("toolu_1"), output("toolu_2"))
    assert "thinking" in json.loads(dialect(old).body(thought.request()))
    assert "thinking" in json.loads(dialect().body(Window(said(), called("a")).request()))


def test_a_call_whose_id_came_twice_is_made_anew():
    items = items_in(read([start(), *use(0, "t", '{"n":1e0}'), *end("tool_use")]))
    assert [
        it["id"] for it in sent(said(), *items, output("t"), *items, output("t"))[3]["content"]
    ] == ["t_2"]


def test_each_part_of_a_message_in_any_shape_is_read():
    shapes: list[Any] = ["text", [], None, 5, [None, 5, "x", {}, {"type": "input_text"}]]
    shapes += [[{"type": "input_text", "text": 5}], [{"type": "input_image", "image_url": {}}]]
    for shape in shapes:
        made = {"type": "message", "role": "user", "content": shape}
        answer = {"type": "message", "role": "assistant", "content": shape}
        result = {"type": "function_call_output", "call_id": "a", "output": shape}
        sent(*(parse_item(it) for it in (made, answer, result)))


def test_the_fields_of_other_providers_are_not_sent():
    assert SPEAKS.dialect == "messages"
    request = json.loads(dialect().body(Window(said()).request()))
    assert not {"store", "prompt_cache_key", "include", "input", "instructions"} & set(request)
