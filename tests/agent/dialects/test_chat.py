"""Requests of the Chat Completions API: their fields, their messages, and what only grows."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from inkernel.agent.config.settings import Settings
from inkernel.agent.dialects.chat import UNSEEN, Chat
from inkernel.agent.dialects.chat_messages import EMPTY, GO_ON, GONE, LEFT_OUT, SEEN_BELOW
from inkernel.agent.dialects.known import open_dialect
from inkernel.agent.dialects.native import with_native
from inkernel.agent.dialects.request import Request
from inkernel.agent.protocol.items import (
    Item,
    call_output,
    image_part,
    message,
    parse_item,
    text_part,
)
from inkernel.agent.protocol.verbatim_json import dumps
from inkernel.agent.providers.catalog import PROVIDERS, Capabilities, speaking
from inkernel.agent.providers.resolve import Target

from .chat_rules import check, open_part

TOOL = {
    "type": "function",
    "name": "look",
    "description": "Look at it.",
    "parameters": {"type": "object", "properties": {"what": {"type": "string"}}},
    "strict": False,
}
FIELDS = {
    "model": "tiny",
    "instructions": "Be useful.",
    "tools": [TOOL, {"type": "web_search"}],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "store": False,
    "prompt_cache_key": "s1",
    "reasoning": {"effort": "high", "summary": "auto"},
}
PLOT = "data:image/png;base64,AAAA"


def chat_of(omit: tuple[str, ...] = (), **traits: Any) -> Chat:
    capabilities = Capabilities(dialect="chat", **traits)
    target = Target("own", "http://localhost:1/v1", "tiny", traits=capabilities)
    return Chat(target, Settings(omit=omit))


def request_of(*items: Item, **fields: Any) -> Request:
    wire = bytearray(b",".join(item.wire for item in items))
    return Request.of(dumps(FIELDS | fields)[1:-1], wire)


def grown(request: Request, *items: Item) -> Request:
    for item in items:
        request.items.extend((b"," if request.items else b"") + item.wire)
    return Request.of(request.fields, request.items)


def messages_of(*items: Item, chat: Chat | None = None) -> list[dict[str, Any]]:
    """The messages after the system's, in a request that keeps all rules."""
    body = (chat or chat_of()).body(request_of(*items))
    check(body)
    return json.loads(body)["messages"][1:]


def user(*texts: str) -> Item:
    return message("user", *map(text_part, texts))


def answer(text: str) -> Item:
    part = {"type": "output_text", "text": text}
    return parse_item({"type": "message", "role": "assistant", "content": [part]})


def call(call_id: str, arguments: str = "{}", name: str = "look") -> Item:
    fields = {"call_id": call_id, "name": name, "arguments": arguments}
    return parse_item({"type": "function_call", **fields})


def output(call_id: str, *texts: str, images: int = 0) -> Item:
    return call_output(call_id, [*map(text_part, texts), *[image_part(PLOT)] * images])


def thought(**native: Any) -> Item:
    return with_native({"type": "reasoning", "summary": []}, "chat", dumps(native))


def test_the_fixed_fields_are_those_that_every_server_takes():
    body = json.loads(chat_of().body(request_of(user("Hi."))))
    check(dumps(body))
    assert body == {
        "model": "tiny",
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [
            {
                "type": "function",
                "function": {it: TOOL[it] for it in ("name", "description", "parameters")},
            }
        ],
        "reasoning_effort": "high",
        "messages": [
            {"role": "system", "content": "Be useful."},
            {"role": "user", "content": "Hi."},
        ],
    }


def test_choices_that_are_no_defaults_are_sent():
    fields = {
        "tools": [TOOL | {"strict": True}],
        "tool_choice": {"type": "function", "name": "look"},
        "parallel_tool_calls": False,
        "max_output_tokens": 100,
    }
    body = chat_of().body(request_of(user("Hi."), **fields))
    check(body)
    made = json.loads(body)
    assert made["tools"][0]["function"]["strict"] is True
    assert made["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert made["parallel_tool_calls"] is False and made["max_completion_tokens"] == 100


def test_without_tools_nothing_speaks_of_them_and_without_instructions_the_person_begins():
    fields = {"tools": [], "instructions": "", "parallel_tool_calls": False, "reasoning": None}
    body = chat_of().body(request_of(user("Hi."), tool_choice="none", **fields))
    check(body)
    assert json.loads(body) == {
        "model": "tiny",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": "Hi."}],
    }


def test_a_field_that_the_server_refuses_is_left_out_by_this_apis_name():
    chat = chat_of(("stream_options",), omits=("reasoning_effort", "reasoning_content"))
    body = chat.body(
        request_of(user("Hi."), thought(reasoning_content="x"), answer("Yes."), user("."))
    )
    assert not json.loads(body).keys() & {"stream_options", "reasoning_effort"}
    assert b"reasoning_content" not in body


def test_a_setting_or_a_provider_chooses_this_dialect():
    target = Target("own", "http://h/v1", "m", traits=Capabilities(dialect="chat"))
    assert isinstance(open_dialect(target, Settings()), Chat)
    other = replace(target, traits=Capabilities())
    assert not isinstance(open_dialect(other, Settings()), Chat)


def test_the_words_of_a_person_are_one_string_whoever_said_them():
    said = messages_of(user("a", "b"), message("developer", text_part("c")), user('"d\\\n'))
    assert said == [{"role": "user", "content": 'a\n\nb\n\nc\n\n"d\\\n'}]


def test_an_image_makes_a_list_and_what_follows_joins_it():
    seen = message("user", text_part("See."), image_part(PLOT))
    assert messages_of(user("Hi."), seen, user("Well?")) == [
        {"role": "user", "content": "Hi."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See."},
                {"type": "image_url", "image_url": {"url": PLOT}},
                {"type": "text", "text": "Well?"},
            ],
        },
    ]


def test_a_model_that_sees_no_images_is_told_of_them():
    said = messages_of(message("user", image_part(PLOT)), chat=chat_of(images=False))
    assert said == [{"role": "user", "content": UNSEEN}]


def test_the_items_of_an_answer_are_one_message():
    items = (thought(reasoning="Hm."), answer("Looking."), call("1", '{"a": 1e0}'), call("2"))
    made = messages_of(user("Hi."), *items, output("2", "two"), output("1", "one"))
    assert made[1:] == [
        {
            "role": "assistant",
            "content": "Looking.",
            "reasoning": "Hm.",
            "tool_calls": [
                {
                    "id": "1",
                    "type": "function",
                    "function": {"name": "look", "arguments": '{"a": 1e0}'},
                },
                {"id": "2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "2", "content": "two"},
        {"role": "tool", "tool_call_id": "1", "content": "one"},
    ]


def test_images_of_results_follow_all_results_as_the_persons():
    items = (call("1"), call("2"), output("1", images=1), output("2", "text", images=2))
    made = messages_of(user("Plot."), *items, user("Well?"))
    assert [it["role"] for it in made] == ["user", "assistant", "tool", "tool", "user"]
    assert [made[2]["content"], made[3]["content"]] == [SEEN_BELOW, "text"]
    about = [part.get("text", "image") for part in made[4]["content"]]
    assert about == [
        *("[The images of 1:]", "image"),
        *("[The images of 2:]", "image", "image", "Well?"),
    ]


def test_words_between_a_call_and_its_result_come_after_the_results():
    made = messages_of(
        *(user("a"), call("1"), answer("Wait."), call("2"), user("steer")),
        *(output("1", "x"), answer("So."), output("2", "y"), user("b")),
    )
    told = [it.get("tool_call_id") or it["role"] for it in made]
    assert told == ["user", "assistant", "1", "2", "user", "assistant", "user"]
    assert made[1]["content"] == "Wait." and len(made[1]["tool_calls"]) == 2
    assert [it["content"] for it in made[4:]] == ["steer", "So.", "b"]


def test_a_call_among_results_waits_for_them_and_its_result_for_it():
    made = messages_of(
        *(user("a"), call("1"), call("2"), output("1", "x"), call("3")),
        *(output("3", "z"), output("2", "y")),
    )
    told = [it.get("tool_call_id") or it["role"] for it in made]
    assert told == ["user", "assistant", "1", "2", "assistant", "3"]


def test_a_call_whose_result_is_gone_gets_one_and_a_result_without_a_call_is_told():
    made = messages_of(user("a"), call("1"), user("b"), call("2"), output("2", "y"))
    assert made[2] == {"role": "tool", "tool_call_id": "1", "content": GONE}
    assert [it["role"] for it in made[3:]] == ["user", "assistant", "tool"]
    made = messages_of(user("a"), answer("b"), output("9", "x", images=1))
    assert [part.get("text") for part in made[2]["content"]] == [
        *("[The output of a call that is gone, 9:]", "x", None)
    ]


def test_a_window_that_the_model_begins_or_ends_is_begun_and_ended_for_the_person():
    assert messages_of(answer("Done.")) == [
        {"role": "user", "content": LEFT_OUT},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": GO_ON},
    ]
    assert messages_of() == [{"role": "user", "content": GO_ON}]


def test_nothing_empty_is_sent():
    made = messages_of(
        *(user(""), user("a"), answer(" \n"), user("b"), answer("\n\n"), call("1")),
        *(output("1", ""), thought(reasoning="alone"), user("c")),
    )
    assert [it["content"] for it in made] == ["a\n\nb", None, EMPTY, "c"]


def test_reasoning_goes_back_under_the_name_it_came_with_even_when_it_is_empty():
    items = (thought(reasoning_content=""), call("1"), output("1", "x"))
    assert messages_of(user("a"), *items)[1]["reasoning_content"] == ""


def test_reasoning_and_calls_of_other_apis_say_what_all_servers_read():
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    signed = with_native(
        {"type": "function_call", "call_id": "t", "name": "look", "arguments": "{}"},
        "messages",
        b'{"type":"tool_use"}',
    )
    items = (parse_item(sealed), signed, parse_item({"type": "web_search_call", "id": "ws"}))
    made = messages_of(user("a"), *items, output("t", "x"))
    assert made[1] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "t", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        ],
    }


def test_a_call_of_another_model_gets_the_stand_in_for_a_signature_and_ones_own_none():
    stand_in = '{"extra_content":{"google":{"thought_signature":"skip"}}}'
    own = with_native(
        {"type": "function_call", "call_id": "2", "name": "look", "arguments": "{}"}, "chat", b"{}"
    )
    items = (call("1"), own, output("1", "x"), output("2", "y"))
    made = messages_of(user("a"), *items, chat=chat_of(unsigned_call=stand_in))
    first, second = made[1]["tool_calls"]
    assert first["extra_content"] == {"google": {"thought_signature": "skip"}}
    assert "extra_content" not in second


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"a": 1, "a": 1.50}', '{"a": 1, "a": 1.50}'),
        ('{"a":', "{}"),
        ("[1]", "{}"),
        ("", "{}"),
        ('```json\n{"a": 1}\n```', '{"a":1}'),
        ('{"a": NaN}', '{"a":null}'),
        ('{"a": "\\ud83d"}', '{"a": "\\ufffd"}'),
        ("[" * 10_000, "{}"),
    ],
)
def test_arguments_go_back_as_they_came_or_as_an_object(arguments: str, sent: str):
    made = messages_of(user("a"), call("1", arguments), output("1", "x"))
    assert made[1]["tool_calls"][0]["function"]["arguments"] == sent


def test_odd_items_are_read_as_far_as_they_can_be():
    odd = [
        {"type": "message", "role": "user", "content": None},
        {"type": "message", "role": "user", "content": [None, {"text": 7}, {"image_url": 3}]},
        {"type": "message", "role": "assistant", "content": "plain"},
        {"type": "function_call", "call_id": 7, "name": None, "arguments": {"a": 1}},
        {"type": "function_call_output", "call_id": "7", "output": None},
        {"type": "acme:x"},
    ]
    made = messages_of(*map(parse_item, odd), call("1", name=""), call("1"), output("1"))
    told = [it.get("tool_call_id") or it["role"] for it in made]
    assert told == ["user", "assistant", "7", "assistant", "1"] and made[0]["content"] == "7"


def test_each_request_begins_with_the_one_before_also_when_the_model_spoke_last():
    chat, request, bodies = chat_of(), request_of(), list[bytes]()
    steps = [
        [user("a")],
        [user("b")],
        [thought(reasoning="r"), call("1"), call("2"), output("1", "x", images=1), output("2", "")],
        [answer("So.")],
        [answer("And.")],
        [answer(" ")],
        [answer("On."), user("c"), message("user", image_part(PLOT))],
        [user("d"), call("3")],
        [output("3", "late")],
        [user("e")],
    ]
    for step in steps:
        request = grown(request, *step)
        bodies += [chat.body(request), chat.body(request)]
        check(bodies[-1])
        assert bodies[-1] == bodies[-2]
    for before, after in pairwise(bodies):
        assert after.startswith(open_part(before))


def test_a_rewritten_window_and_other_fields_are_translated_anew():
    chat = chat_of()
    chat.body(request_of(user("old"), call("1")))
    body = chat.body(request_of(user("new"), model="other"))
    assert body == chat_of().body(request_of(user("new"), model="other"))
    assert json.loads(body)["model"] == "other" and b"old" not in body


def test_a_request_translates_what_is_new_however_long_the_history_is(monkeypatch):
    """Counts bytes, not time: each item goes through `add` once."""
    seen: list[int] = []
    add = Chat.add
    monkeypatch.setattr(
        Chat, "add", lambda self, item, text: (seen.append(len(text)), add(self, item, text))
    )
    chat, request, costs = chat_of(), request_of(user("a")), list[int]()
    for n in range(200):
        request = grown(request, call(f"{n:03}"), output(f"{n:03}", "x" * 500))
        seen.clear()
        chat.body(request)
        costs.append(sum(seen))
    assert max(costs[1:]) == min(costs[1:]) < 1_000


def test_deepseek_gets_a_stand_in_for_a_thought_that_another_model_did_not_have():
    """It refuses a message of the model without `reasoning_content`, or with an empty one."""
    traits = speaking(PROVIDERS["deepseek"].traits, "chat")
    chat = Chat(Target("deepseek", "https://api.deepseek.com", "m", traits=traits), Settings())
    items = (user("Go."), call("c"), output("c", "1"), answer("Ok."), user("On."))
    more = (thought(reasoning_content=""), call("d"), output("d", "1"))
    sent = messages_of(*items, *more, chat=chat)
    assert [it["reasoning_content"] for it in sent if it["role"] == "assistant"] == [" "] * 3
    assert "reasoning_content" not in json.dumps(messages_of(*items))
