"""The scripted model: which response plays, and its events. No server needed."""

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.scripted.model import frames
from inkernel.agent.scripted.request import (
    AskedRequest,
    Position,
    RequestError,
    find_position,
    read_fields,
    read_request,
)
from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.state import PromptCache

SCRIPT = Script.model_validate(
    tomllib.loads("""
model = "scripted/test"
[[turn]]
on = "wettest"
[[turn.response]]
reasoning = "I look first."
say = "Looking."
call = [{name = "inspect", arguments = {names = ["weather"]}}, {name = "run_cell"}]
[[turn.response]]
expect = "AttributeError"
say = "It was April."
[[turn]]
[[turn.response]]
say = "Second turn."
[[turn]]
on = "driest"
[[turn.response]]
call = [{name = "broken", arguments = "{not json"}]
""")
)


def request(*items: dict[str, Any], **fields: Any) -> AskedRequest:
    body = {"model": "m", "input": list(items), **fields}
    return read(json.dumps(body).encode())


def read(body: bytes) -> AskedRequest:
    return read_request(read_fields(body))


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "input_text", "text": text}]}


def call_of(index: int) -> dict[str, Any]:
    call_id = f"call_t0r0i{index}"
    return {"type": "function_call", "call_id": call_id, "name": "x", "arguments": "{}"}


def output_of(index: int, text: str = "ok") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": f"call_t0r0i{index}", "output": text}


def play(asked: AskedRequest, script: Script = SCRIPT, **options: Any) -> list[tuple[str, Any]]:
    return list(frames(script, find_position(script, asked), asked, 1_700_000_000, **options))


def output(events: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    return events[-1][1]["response"]["output"]


def one_response(**fields: Any) -> Script:
    return Script.model_validate({"turn": [{"response": [fields]}]})


class TestWhichResponsePlays:
    def test_the_first_message_gets_the_first_turn(self):
        assert find_position(SCRIPT, request(user("hello"))) == Position(0, 0)

    def test_an_input_that_is_a_string_is_a_user_message(self):
        asked = read(b'{"model": "m", "input": "The DRIEST month?"}')
        assert find_position(SCRIPT, asked) == Position(2, 0)

    def test_a_message_that_contains_on_in_any_case_gets_that_turn(self):
        assert find_position(SCRIPT, request(user("the DRIEST?"))) == Position(2, 0)

    def test_context_before_the_users_message_does_not_choose_the_turn(self):
        asked = request({"role": "developer", "content": "driest"}, user("hello"))
        assert find_position(SCRIPT, asked) == Position(0, 0)

    def test_a_message_that_is_a_single_element_begins_no_turn(self):
        context = user("<window>\nMore than half is used.\n</window>")
        done = (call_of(2), output_of(2, "AttributeError"))
        assert find_position(SCRIPT, request(user("driest?"), context)) == Position(2, 0)
        assert find_position(SCRIPT, request(user("wettest?"), *done, context)) == Position(0, 1)
        begun = request(user("wettest?"), *done, user("<b>stop</b>"))
        assert find_position(SCRIPT, begun) == Position(1, 0)

    @pytest.mark.parametrize("own", [{}, {"id": "fc_t0r0i2"}, {"id": "of another server"}])
    def test_the_ids_since_the_users_message_tell_the_next_response(self, own: dict[str, str]):
        asked = request(user("wettest?"), {**call_of(2), **own}, output_of(2, "AttributeError"))
        assert find_position(SCRIPT, asked) == Position(0, 1)

    def test_after_a_turn_the_next_one_plays(self):
        done = {"type": "message", "id": "msg_t0r1i0", "role": "assistant", "content": "…"}
        assert find_position(SCRIPT, request(user("wettest?"), done, user("more"))) == Position(
            1, 0
        )

    def test_a_turn_played_again_has_ids_of_its_own(self):
        first = user("wettest?")
        played = output(play(request(first)))
        answers = [output_of(index) for index in (2, 3)]
        again = output(play(request(first, *played, *answers, first)))
        assert not {item["id"] for item in played} & {item["id"] for item in again}
        results = [output_of(index, "AttributeError") for index in (2, 3)]
        replayed = [{**it, "call_id": f"{it['call_id']}n1"} for it in results]
        asked = request(first, *played, *results, first, *again, *replayed)
        assert find_position(SCRIPT, asked) == Position(0, 1, again=1)

    def test_a_steering_message_in_mid_turn_begins_a_turn(self):
        played = output(play(request(user("wettest?"))))
        answers = [output_of(index) for index in (2, 3)]
        asked = request(user("wettest?"), *played, *answers, user("stop"))
        assert find_position(SCRIPT, asked) == Position(1, 0)

    def test_past_the_end_of_a_turn_the_error_says_so(self):
        done = {"type": "message", "id": "msg_t1r0i0", "role": "assistant", "content": "…"}
        with pytest.raises(RequestError, match="no response 1 for turn 1; turn 1 has 1"):
            find_position(SCRIPT, request(user("x"), done))

    def test_past_the_last_turn_the_error_says_so(self):
        done = {"type": "message", "id": "msg_t2r0i0", "role": "assistant", "content": "…"}
        with pytest.raises(RequestError, match="no response 0 for turn 3; it has 3 turn"):
            find_position(SCRIPT, request(user("x"), done, user("y")))

    def test_a_tool_output_that_is_not_the_expected_one_is_told(self):
        with pytest.raises(RequestError, match=r"expects 'AttributeError' .* what came is: all w"):
            find_position(SCRIPT, request(user("x"), call_of(2), output_of(2, "all well")))

    def test_an_expected_tool_output_that_never_came_is_told(self):
        done = {"type": "message", "id": "msg_t0r0i1", "role": "assistant", "content": "…"}
        with pytest.raises(RequestError, match="no tool output came"):
            find_position(SCRIPT, request(user("x"), done))

    def test_an_output_may_stand_by_a_reference_to_its_call(self):
        reference = {"type": "item_reference", "id": "fc_t0r0i2"}
        asked = request(user("x"), reference, output_of(2, "AttributeError"))
        assert find_position(SCRIPT, asked) == Position(0, 1)

    def test_a_call_without_its_output_is_refused(self):
        with pytest.raises(RequestError, match=r"No tool output found for .* call_t0r0i2"):
            find_position(SCRIPT, request(user("x"), call_of(2)))

    def test_an_output_without_its_call_is_refused(self):
        with pytest.raises(RequestError, match=r"No tool call found for .* call_t0r0i2"):
            find_position(SCRIPT, request(user("x"), output_of(2)))

    def test_the_parts_of_a_tool_output_are_read_too(self):
        result = output_of(2)
        result["output"] = [
            {"type": "input_image", "image_url": "data:,"},
            {"type": "input_text", "text": "an AttributeError"},
        ]
        asked = request(user("x"), call_of(2), result)
        assert find_position(SCRIPT, asked) == Position(0, 1)


class TestTheEvents:
    def test_the_same_request_gives_the_same_events(self):
        assert play(request(user("wettest?"))) == play(request(user("wettest?")))

    def test_a_message_before_calls_is_commentary_and_one_alone_the_final_answer(self):
        assert output(play(request(user("wettest?"))))[1]["phase"] == "commentary"
        asked = request(user("x"), call_of(2), output_of(2, "AttributeError"))
        (answer,) = output(play(asked))
        assert (answer["phase"], answer["content"][0]["text"]) == ("final_answer", "It was April.")

    def test_reasoning_is_sealed_only_when_the_request_asks(self):
        asked = request(user("wettest?"), include=["reasoning.encrypted_content"])
        assert output(play(asked))[0]["encrypted_content"]
        assert output(play(request(user("wettest?"))))[0]["encrypted_content"] is None

    def test_redacted_reasoning_has_no_summary_and_is_sealed(self):
        script = one_response(reasoning="r", redacted=True, say="a")
        asked = request(user("x"), include=["reasoning.encrypted_content"])
        reasoning = output(events := play(asked, script))[0]
        assert (reasoning["summary"], bool(reasoning["encrypted_content"])) == ([], True)
        assert not [kind for kind, _ in events if "summary" in kind]

    def test_a_paused_response_is_complete(self):
        script = one_response(say="a b", fault={"event": "pause", "after": 3})
        fault = script.turn[0].response[0].fault
        assert play(request(user("x")), script, fault=fault) == play(request(user("x")), script)

    def test_arguments_given_as_a_string_are_sent_unchanged(self):
        assert output(play(request(user("driest?"))))[0]["arguments"] == "{not json"

    def test_the_response_echoes_the_request(self):
        tool = {"type": "function", "name": "f", "parameters": {"type": "object"}}
        asked = request(user("x"), instructions="Be brief.", tools=[tool], temperature=0)
        response = play(asked)[-1][1]["response"]
        assert response["instructions"] == "Be brief."
        assert response["tools"] == [{**tool, "description": None, "strict": None}]
        assert (response["temperature"], response["model"]) == (0, "scripted/test")

    @given(st.text())
    def test_deltas_add_up_to_the_text(self, text: str):
        events = play(request(user("x")), one_response(say=text))
        deltas = [data["delta"] for kind, data in events if kind.endswith("text.delta")]
        assert "".join(deltas) == text

    def test_an_incomplete_response_ends_in_an_incomplete_item(self):
        script = one_response(say="a b", call=[{"name": "f"}], fault={"event": "incomplete"})
        fault = script.turn[0].response[0].fault
        kind, data = play(request(user("x")), script, fault=fault)[-1]
        response = data["response"]
        assert (kind, response["status"]) == ("response.incomplete", "incomplete")
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}
        assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]

    def test_a_response_that_fails_half_way_has_only_what_was_done(self):
        script = one_response(reasoning="r", say="a b", fault={"event": "failed", "after": 10})
        fault = script.turn[0].response[0].fault
        events = play(request(user("x")), script, fault=fault)
        assert len(events) == 11
        response = events[-1][1]["response"]
        assert [item["type"] for item in response["output"]] == ["reasoning"]
        assert response["error"]["code"] == "server_error"


class TestUsage:
    def test_tokens_are_a_quarter_of_the_bytes(self):
        usage = play(request(user("é" * 2000)))[-1][1]["response"]["usage"]
        assert 1000 < usage["input_tokens"] < 1050
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        assert 0 < usage["output_tokens_details"]["reasoning_tokens"] < usage["output_tokens"]

    def test_a_longer_conversation_begins_with_the_shorter_ones_prompt(self):
        short, long = request(user("a")), request(user("a"), user("b"))
        assert long.prompt.startswith(short.prompt)

    @given(st.binary(max_size=2000), st.binary(max_size=50), st.binary(max_size=2000))
    def test_the_cache_knows_whole_blocks_of_the_common_prefix(
        self, common: bytes, one: bytes, other: bytes
    ):
        cache = PromptCache()
        assert cache.read("key", common + one) == 0
        cached = cache.read("key", common + other)
        assert cached % 128 == 0
        assert cached >= len(common) // 512 * 128
        assert (common + other).startswith((common + one)[: cached * 4])
        assert cache.read("key", common + one) == len(common + one) // 512 * 128
        assert cache.read("other", common + one) == 0


class TestReadingARequest:
    @pytest.mark.parametrize(
        ("body", "param"),
        [
            (b"", None),
            (b"[]", None),
            (b"\xff", None),
            (b"[" * 100_000, None),
            (b'{"input": "x"}', "model"),
            (b'{"model": "m"}', "input"),
            (b'{"model": "m", "input": [1]}', "input"),
            (b'{"model": "m", "input": "x", "stream": "yes"}', "stream"),
            (b'{"model": "m", "input": "x", "temperature": NaN}', "temperature"),
            (b'{"model": "m", "input": "x", "previous_response_id": 1}', "previous"),
        ],
    )
    def test_what_is_not_a_request_is_refused_by_field(self, body: bytes, param: str | None):
        with pytest.raises(RequestError) as caught:
            read(body)
        assert (caught.value.param or "").startswith(param or "")
        assert bool(caught.value.param) == bool(param)

    def test_null_means_not_given(self):
        asked = read(b'{"model": "m", "input": "x", "stream": null, "tools": null}')
        assert (asked.stream, asked.tools) == (False, [])

    @pytest.mark.parametrize("text", [b"\\ud800", b"\\udfff\\ud800", b"\xed\xa0\xbd"])
    def test_a_lone_surrogate_is_refused_as_real_servers_refuse_it(self, text: bytes):
        with pytest.raises(RequestError, match="not JSON"):
            read(b'{"model": "m", "input": [{"role": "user", "content": "%b"}]}' % text)

    @given(
        st.fixed_dictionaries(
            {"model": st.just("m"), "input": st.text() | st.lists(st.just({"role": "user"}))},
            optional=dict.fromkeys(
                ["tools", "text", "reasoning", "include", "instructions", "metadata", "top_p"],
                st.recursive(
                    st.none() | st.booleans() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                    max_leaves=5,
                ),
            ),
        )
    )
    def test_any_json_is_answered_or_refused(self, body: dict[str, Any]):
        try:
            events = play(read(json.dumps(body).encode()))
        except RequestError:
            return
        assert events[-1][0] == "response.completed"


@pytest.mark.parametrize("event", [None, "failed", "incomplete", "error"])
@pytest.mark.parametrize("include", [[], ["reasoning.encrypted_content"]])
def test_every_event_is_strict_open_responses(event: str | None, include: list[str]):
    types = pytest.importorskip("openresponses_types.types")
    models = {
        next(iter(model.model_fields["type"].annotation)).value: model
        for name, model in vars(types).items()
        if name.endswith("StreamingEvent")
    }
    response = SCRIPT.turn[0].response[0].model_dump() | {"fault": {"event": event}}
    script = one_response(**response)
    tool = {"type": "function", "name": "inspect"}
    asked = request(user("x"), tools=[tool], include=include, text={"verbosity": "low"})
    for kind, data in play(asked, script, fault=script.turn[0].response[0].fault):
        models[kind].model_validate_json(json.dumps(data))
