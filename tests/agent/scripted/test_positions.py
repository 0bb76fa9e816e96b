"""Where a conversation stands in a script when its items have no ids: found by their words."""

import tomllib
from typing import Any

import pytest

from inkernel.agent.scripted.request import (
    AskedRequest,
    Position,
    RequestError,
    find_position,
    located,
)
from inkernel.agent.scripted.script import Script

SCRIPT = Script.model_validate(
    tomllib.loads("""
[[turn]]
[[turn.response]]
say = "Done."
call = [{name = "f", arguments = {x = 1}}]
[[turn.response]]
say = "Done."
call = [{name = "f", arguments = {x = 1}}]
[[turn.response]]
say = "Done."
[[turn]]
[[turn.response]]
say = "Done."
[[turn]]
on = "driest"
[[turn.response]]
reasoning = "I think."
call = [{name = "f", arguments = "{not json"}]
[[turn.response]]
say = "It was July, as ever."
[[turn]]
[[turn.response]]
say = "The end."
[[turn]]
[[turn.response]]
say = "Done."
""")
)


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": text}


def said(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "role": "assistant", "content": content}


def call(arguments: str = '{"x":1}', call_id: str = "own") -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": arguments}


def output(call_id: str = "own") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "ok"}


def thought(text: str) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}


def position(*items: dict[str, Any]) -> Position:
    found = located(SCRIPT, list(items))
    return find_position(SCRIPT, AskedRequest(model="m", input=found))


FIRST = [user("a"), said("Done."), call()]
SECOND = [*FIRST, output(), said("Done."), call(call_id="own2"), output("own2")]


def test_a_text_alone_stands_for_its_response():
    assert position(user("a")) == Position(0, 0)
    assert position(user("driest?"), said("It was July, as ever."), user("b")) == Position(3, 0)


def test_a_repeated_text_is_that_of_the_next_response():
    assert position(*FIRST, output()) == Position(0, 1)
    assert position(*SECOND) == Position(0, 2)
    assert position(*SECOND, said("Done."), user("b")) == Position(1, 0)
    assert position(*SECOND, said("Done."), user("b"), said("Done."), user("c")) == Position(2, 0)


def test_a_text_belongs_to_the_response_whose_call_follows():
    assert position(user("a"), said("Done."), call(), output(), said("Done.")) == Position(0, 2)


def test_ids_tell_the_place_where_there_are_some():
    known = {**call(), "call_id": "toolu_t0r1i1"}
    assert position(user("a"), said("Done."), known, output("toolu_t0r1i1")) == Position(0, 2)


def test_a_turn_that_is_chosen_by_its_words_is_searched_first():
    asked = [user("the driest?"), thought("I think."), call("{not json"), output()]
    assert position(*asked) == Position(2, 1)
    assert position(*asked, said("It was July, as ever."), user("more")) == Position(3, 0)


def test_a_thought_without_a_signature_is_found_too():
    assert position(user("the driest?"), thought("I think.")) == Position(2, 1)


def test_white_space_at_the_ends_does_not_count():
    assert position(user("the driest?"), said(" It was July, as ever.\n"), user("b")) == (
        Position(3, 0)
    )


def test_the_beginning_of_the_next_text_is_enough():
    asked = [user("the driest?"), thought("I think."), call("{not json"), output()]
    assert position(*asked, said("It was Ju"), user("b")) == Position(3, 0)


def test_a_conversation_whose_beginning_is_gone_is_found_further_on():
    assert position(user("a summary"), said("It was July, as ever."), user("b")) == Position(3, 0)


def test_words_of_another_model_have_no_place():
    items = [user("a"), said("I am another."), call("{}"), output(), user("b")]
    assert located(SCRIPT, items) == items
    assert position(*items) == Position(0, 0)


def test_a_turn_played_again_is_counted():
    done = said("It was July, as ever.")
    assert position(user("driest?"), done, user("driest?")) == Position(2, 0, again=1)


def test_texts_in_a_row_are_those_of_responses_in_a_row():
    assert position(user("a"), said("Done."), said("Done.")) == Position(0, 2)


def test_calls_in_a_row_are_of_one_response_and_after_an_output_of_the_next():
    twice = [call(), call(call_id="own2"), output(), output("own2")]
    assert position(user("a"), *twice) == Position(0, 1)
    assert position(user("a"), call(), output(), *SECOND[-2:]) == Position(0, 2)


def test_in_mid_turn_no_other_turn_is_searched():
    assert position(*FIRST, output(), said("The end."), user("b")) == Position(1, 0)


def test_later_turns_are_searched_before_earlier_ones():
    with pytest.raises(RequestError, match="no response 0 for turn 5"):
        position(user("driest?"), said("Done."), user("b"))


def test_past_the_end_of_the_script_the_error_says_so():
    with pytest.raises(RequestError, match="no response 0 for turn 5"):
        position(user("a"), said("The end."), user("b"), said("Done."), user("c"))


PAUSED = Script.model_validate(
    {
        "turn": [
            {"response": [{"say": "One.", "fault": {"event": "pause"}}, {"say": "Two."}]},
            {"response": [{"say": "Three."}]},
        ]
    }
)


def test_words_that_let_a_paused_answer_go_on_begin_no_turn():
    def at(*items: dict[str, Any]) -> Position:
        found = located(PAUSED, list(items))
        return find_position(PAUSED, AskedRequest(model="m", input=found))

    paused = [user("a"), said("One."), user("Go on.")]
    assert at(*paused) == Position(0, 1)
    assert at(*paused, said("Two."), user("Go on.")) == Position(1, 0)
    assert at(user("a"), said("One."), user("And now?")) == Position(1, 0)


NAMED = Script.model_validate(
    {"turn": [{"on": on, "response": [{"say": on}]} for on in ("wettest", "driest", "coldest")]}
)


@pytest.mark.parametrize("joined", ["\n\n", None])
def test_a_message_that_got_no_answer_starts_no_turn_again(joined: str | None):
    prompts = ["The wettest month?", "No, the coldest.", "What of the driest?"]
    texts = [joined.join(prompts)] if joined else prompts
    item = {**user(""), "content": [{"type": "input_text", "text": it} for it in texts]}
    request = AskedRequest(model="m", input=located(NAMED, [item]))
    assert find_position(NAMED, request) == Position(1, 0)
