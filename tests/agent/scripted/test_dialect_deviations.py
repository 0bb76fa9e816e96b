"""Every deviation of servers of Messages and Chat Completions, as a client sees it."""

import json
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.dialects.dialect import ResponseDone
from inkernel.agent.dialects.request import Request
from inkernel.agent.protocol.items import FunctionCall, Item, Message, output_of, text_part
from inkernel.agent.providers.catalog import Capabilities
from inkernel.agent.providers.resolve import Target
from inkernel.agent.scripted.chat import ChatBody, chat_chunks, sent_chat
from inkernel.agent.scripted.deviations import Frame
from inkernel.agent.scripted.dialect_deviations import (
    OF_CHAT,
    OF_MESSAGES,
    deviate_chat,
    deviate_messages,
    deviate_whole_chat,
)
from inkernel.agent.scripted.messages import message_events, sent_message
from inkernel.agent.scripted.messages_rules import read_body
from inkernel.agent.scripted.model import frames
from inkernel.agent.scripted.profiles import PROFILES
from inkernel.agent.scripted.request import find_position, read_request
from inkernel.agent.scripted.script import Fault, Script
from inkernel.agent.scripted.server import ScriptedServer
from inkernel.agent.scripted.state import MarkedCache

SCRIPT: dict[str, Any] = tomllib.loads("""
model = "m"
[[turn]]
[[turn.response]]
reasoning = "I look."
say = "First I look."
call = [{name = "f", arguments = {x = [1]}}, {name = "g"}]
[[turn.response]]
expect = "seen"
say = "Done."
""")
SAID = [{"role": "user", "content": "Go."}]
THINKING = {"max_tokens": 9, "thinking": {"type": "adaptive"}}


@contextmanager
def asking(*names: str, path: str = "chat/completions") -> Iterator[Callable[..., httpx.Response]]:
    """Sends requests to a server with these deviations."""
    script = Script.model_validate({**SCRIPT, "deviations": names})
    with ScriptedServer(script) as server:
        more = {} if path.startswith("chat") else THINKING
        yield lambda messages=SAID, **fields: httpx.post(
            f"{server.base_url}/{path}",
            json={"model": "m", "messages": messages, **more, **fields},
            headers={"anthropic-version": "2023-06-01"},
        )


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    data = [line.removeprefix("data: ") for line in answer.text.splitlines() if "data: " in line]
    return [json.loads(text) for text in data if text != "[DONE]"]


def streamed(*names: str, **fields: Any) -> list[dict[str, Any]]:
    """The chunks of a chat's first answer."""
    with asking(*names) as ask:
        return events(ask(stream=True, **fields))


def deltas(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def pieces(*names: str) -> list[dict[str, Any]]:
    return [it for delta in deltas(streamed(*names)) for it in delta.get("tool_calls", [])]


def message(*names: str) -> dict[str, Any]:
    with asking(*names) as ask:
        return ask().json()["choices"][0]["message"]


class TestChat:
    def test_no_done(self):
        with asking("no_done") as ask:
            assert "[DONE]" not in ask(stream=True).text

    def test_no_call_ids(self):
        assert all("id" not in piece for piece in pieces("no_call_ids"))
        assert all("id" not in call for call in message("no_call_ids")["tool_calls"])

    def test_call_ids_of_vllm(self):
        assert pieces("chatcmpl_call_ids")[0]["id"] == "chatcmpl-tool-t0r0i2"

    def test_all_indexes_zero(self):
        assert {piece["index"] for piece in pieces("zero_indexes")} == {0}
        assert len({piece["id"] for piece in pieces("zero_indexes") if "id" in piece}) == 2

    def test_no_index(self):
        assert all("index" not in piece for piece in pieces("no_indexes"))

    def test_a_call_in_one_piece(self):
        told = [piece["function"] for piece in pieces("no_argument_deltas")]
        assert told == [
            {"name": "f", "arguments": '{"x": [1]}'},
            {"name": "g", "arguments": "{}"},
        ]

    def test_arguments_as_an_object(self):
        told = [piece["function"]["arguments"] for piece in pieces("object_arguments")]
        assert told == [{"x": [1]}, {}]
        calls = message("object_arguments")["tool_calls"]
        assert [call["function"]["arguments"] for call in calls] == told

    def test_an_id_and_a_name_in_each_piece(self):
        told = pieces("repeated_call_heads")
        assert len(told) > 2
        assert all(piece["id"] and piece["function"]["name"] for piece in told)
        first = [it["function"]["arguments"] for it in told if it["function"]["name"] == "f"]
        assert "".join(first) == '{"x": [1]}'

    def test_reasoning_under_another_name(self):
        told = "".join(delta.get("reasoning", "") for delta in deltas(streamed("reasoning_field")))
        assert told == message("reasoning_field")["reasoning"] == "I look."
        assert "reasoning_content" not in str(streamed("reasoning_field"))

    @pytest.mark.parametrize("name", ["empty_reasoning", "demands_reasoning"])
    def test_empty_reasoning(self, name: str):
        call = {"id": "call_t0r0i2", "type": "function"}
        call["function"] = {"name": "f", "arguments": "{}"}
        made = {"role": "assistant", "tool_calls": [call], "reasoning_content": "I look."}
        said = [*SAID, made, {"role": "tool", "tool_call_id": "call_t0r0i2", "content": "seen"}]
        assert deltas(streamed(name, messages=said))[0]["reasoning_content"] == ""
        assert all(delta.get("reasoning_content") != "" for delta in deltas(streamed(name)))
        with asking(name) as ask:
            assert ask(said).json()["choices"][0]["message"]["reasoning_content"] == ""
            del made["reasoning_content"]
            refused = ask(said)
        assert refused.status_code == (400 if name == "demands_reasoning" else 200)
        if name == "demands_reasoning":
            assert "Missing `reasoning_content`" in refused.json()["error"]["message"]
            assert "at message index 1." in refused.json()["error"]["message"]

    def test_usage_in_the_last_chunk(self):
        *before, last = streamed("usage_in_last_chunk")
        assert last["choices"][0]["finish_reason"] == "tool_calls"
        assert last["usage"]["prompt_tokens"] > 0
        assert not any(chunk.get("usage") for chunk in before)

    def test_usage_in_x_groq(self):
        last = streamed("usage_in_x_groq")[-1]
        assert last["x_groq"]["usage"]["prompt_tokens"] > 0
        assert "usage" not in last

    def test_no_usage(self):
        asked = {"stream_options": {"include_usage": True}}
        assert not any(chunk.get("usage") for chunk in streamed("no_usage", **asked))
        with asking("no_usage") as ask:
            assert "usage" not in ask().json()

    def test_cache_hits_as_deepseek_counts_them(self):
        with asking("cache_hit_tokens") as ask:
            usage = ask().json()["usage"]
        counts = usage["prompt_cache_hit_tokens"] + usage["prompt_cache_miss_tokens"]
        assert counts == usage["prompt_tokens"]

    def test_stop_with_calls(self):
        assert streamed("stop_with_calls")[-1]["choices"][0]["finish_reason"] == "stop"
        with asking("stop_with_calls") as ask:  # as Gemini does
            assert ask().json()["choices"][0]["finish_reason"] == "tool_calls"

    def test_no_nulls(self):
        assert "null" not in json.dumps(streamed("no_nulls"))

    def test_thought_signatures_must_come_back(self):
        made = message("thought_signatures")
        first, second = made["tool_calls"]
        signed = first["extra_content"]["google"]
        assert "extra_content" not in second
        assert pieces("thought_signatures")[0]["extra_content"]["google"] == signed
        answers = [
            {"role": "tool", "tool_call_id": call["id"], "content": "seen"}
            for call in made["tool_calls"]
        ]
        said = [*SAID, made, *answers]
        with asking("thought_signatures") as ask:
            assert ask(said).json()["choices"][0]["message"]["content"] == "Done."
            signed["thought_signature"] = "skip_thought_signature_validator"
            assert ask(said).status_code == 200
            signed["thought_signature"] = "other"
            assert ask(said).json()["error"]["message"] == "Corrupted thought signature."
            del first["extra_content"]
            error = ask(said).json()["error"]["message"]
            assert error.startswith("Function call is missing a thought_signature")
            assert "`default_api:f` , position 1." in error
            again = ask([*said, {"role": "assistant", "content": "Done."}, *SAID])
            assert "thought_signature" not in again.json()["error"]["message"]  # of a turn before

    def test_errors_in_a_list(self):
        with asking("error_in_list") as ask:
            answer = ask([])
        error = {"code": 400, "status": "INVALID_ARGUMENT"}
        assert answer.json()[0]["error"].items() > error.items()

    def test_refused_fields_and_models(self):
        with asking("refuses_unknown_fields") as ask:
            assert ask(foo=1).status_code == 422
            assert ask(temperature=1, max_completion_tokens=9).status_code == 200
        with asking("refuses_other_models") as ask:
            assert ask(model="other").json()["error"]["code"] == "model_not_found"

    def test_only_responses_means_no_other_api(self):
        for path in ("chat/completions", "messages"):
            with asking("only_responses", path=path) as ask:
                assert ask().status_code == 404

    @pytest.mark.parametrize("name", ["gemini", "deepseek", "groq", "ollama"])
    def test_a_profile_plays_the_whole_script(self, name: str):
        openai = pytest.importorskip("openai")
        script = Script.model_validate({**SCRIPT, "deviations": [name]})
        with (
            ScriptedServer(script) as server,
            openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as sdk,
        ):
            first = sdk.chat.completions.create(model="m", messages=SAID).choices[0].message
            answers = [
                {"role": "tool", "tool_call_id": call.id, "content": "seen"}
                for call in first.tool_calls
            ]
            said = [*SAID, first.to_dict(mode="json"), *answers]
            with sdk.chat.completions.create(model="m", messages=said, stream=True) as stream:
                told = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
        assert "".join(told) == "Done."


class TestMessages:
    def test_no_ping(self):
        with asking("no_ping", path="messages") as ask:
            assert all(event["type"] != "ping" for event in events(ask(stream=True)))

    def test_whole_blocks_as_they_begin(self):
        with asking("whole_blocks", path="messages") as ask:
            told, whole = events(ask(stream=True)), ask().json()
        assert all(event["type"] != "content_block_delta" for event in told)
        blocks = [event["content_block"] for event in told if "content_block" in event]
        assert blocks == whole["content"]

    def test_thinking_without_a_signature_which_nobody_demands(self):
        with asking("unsigned_thinking", path="messages") as ask:
            assert "signature" not in ask(stream=True).text
            thought, text, *calls = ask().json()["content"]
            assert thought == {"type": "thinking", "thinking": "I look."}
            results = [
                {"type": "tool_result", "tool_use_id": call["id"], "content": "seen"}
                for call in calls
            ]
            for made in ([thought, text, *calls], calls):
                said = [
                    {"role": "assistant", "content": made},
                    {"role": "user", "content": results},
                ]
                assert ask([*SAID, *said]).json()["content"][0]["text"] == "Done."

    def test_no_prefill(self):
        with asking("refuses_prefill", path="messages") as ask:
            error = ask([*SAID, {"role": "assistant", "content": "Well,"}]).json()["error"]
        assert error["message"].startswith("This model does not support assistant message prefill.")

    def test_framing_and_error_bodies_deviate_here_too(self):
        with asking("crlf", "no_event_line", path="messages") as ask:
            assert ask(stream=True).text.startswith("data: {")
        with asking("error_detail", path="messages") as ask:
            assert ask([]).json() == {"detail": "messages: at least one message is required"}


def played(fault: Fault) -> list[Frame]:
    script = Script.model_validate(SCRIPT)
    request = read_request({"model": "m", "input": "Go."})
    return list(frames(script, find_position(script, request), request, 0, 0, fault))


NAMES = sorted({*OF_CHAT, *OF_MESSAGES, "thought_signatures"})


@given(
    st.frozensets(st.sampled_from(NAMES)),
    st.sampled_from([None, "failed", "incomplete", "error"]),
    st.none() | st.integers(0, 40),
)
def test_any_deviations_together_change_nothing_given(
    names: frozenset[str], event: Any, after: int | None
):
    told = played(Fault(event=event, after=after))
    body = ChatBody.model_validate({"model": "m", "messages": SAID})
    sent = read_body({"model": "m", "messages": SAID, **THINKING})
    use = MarkedCache().read([])
    given_frames = chat_chunks(told, body, names), message_events(told, sent, use, False)
    before = json.dumps(given_frames)
    deviate_chat(given_frames[0], names)
    deviate_messages(given_frames[1], names)
    assert json.dumps(given_frames) == before
    whole = sent_chat(told, names)
    assert "message" in deviate_whole_chat(whole, names)["choices"][0]
    assert "delta" in whole["choices"][0]
    deviate_messages([("message", sent_message(told, sent, use, False))], names)


def test_each_profile_of_a_chat_has_deviations_of_it():
    for name in ("gemini", "deepseek", "groq", "ollama"):
        assert set(PROFILES[name]) & set(OF_CHAT)


PLAYED = [
    *(("messages", name) for name in ("plain", *OF_MESSAGES)),
    *(("chat", name) for name in ("plain", *OF_CHAT, "no_done", "thought_signatures")),
    *(("chat", name) for name in ("gemini", "deepseek", "groq", "ollama")),
]


@pytest.mark.parametrize(("dialect", "name"), PLAYED)
async def test_inkernels_own_client_hears_all_of_it(
    client_for: Callable[..., Any], dialect: Any, name: str
):
    script = Script.model_validate(SCRIPT | {"deviations": [name] if name != "plain" else []})
    with ScriptedServer(script) as server:
        traits = Capabilities(dialect=dialect)
        client = client_for(Target("scripted", server.base_url, "m", traits=traits))
        items, heard = bytearray(b'{"type":"message","role":"user","content":"Go."}'), list[Any]()
        for _ in range(2):
            request = Request.of(b'"model":"m","reasoning":{"effort":"medium"}', items)
            parts = [part async for part in client.sample(request)]
            assert isinstance(parts[-1], ResponseDone)
            came = [part for part in parts if isinstance(part, Item)]
            items += b"".join(b"," + item.wire for item in came)
            for item in came:
                if isinstance(item, FunctionCall):
                    heard.append((item.name, json.loads(item.arguments)))
                    items += b"," + output_of(item, [text_part("seen")]).wire
                elif isinstance(item, Message):
                    heard.append(item.text)
    assert heard == ["First I look.", ("f", {"x": [1]}), ("g", {}), "Done."]
