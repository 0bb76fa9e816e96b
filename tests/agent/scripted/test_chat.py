"""The scripted server's Chat Completions, with the official `openai` SDK as its client."""

import json
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.scripted.chat import asked_of_chat, read_chat
from inkernel.agent.scripted.request import RequestError
from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer

openai = pytest.importorskip("openai")
types = pytest.importorskip("openai.types.chat")

SCRIPT = Script.model_validate(
    tomllib.loads("""
model = "scripted/test"
[[turn]]
on = "wettest"
[[turn.response]]
reasoning = "I look first."
say = "First — I look.\\nThen I compute."
call = [{name = "inspect", arguments = {names = ["weather"]}}, {name = "run_cell"}]
[[turn.response]]
expect = "seen"
reasoning = "It is a secret."
redacted = true
call = [{name = "inspect", arguments = "{not json"}]
[[turn.response]]
say = "It was April."
[[turn]]
[[turn.response]]
say = "Gladly."
""")
)
SAID = [{"role": "user", "content": "Which month was wettest?"}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(SCRIPT) as running:
        yield running


@pytest.fixture(scope="module")
def sdk(server: ScriptedServer) -> Iterator[Any]:
    with sdk_of(server) as client:
        yield client


def sdk_of(server: ScriptedServer, key: str = "any") -> Any:
    return openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0)


def serving(key: str | None = None, **response: Any) -> ScriptedServer:
    """A server of one response."""
    script = {"turn": [{"response": [{"say": "one two three", **response}]}]}
    return ScriptedServer(Script.model_validate(script), key)


def streamed(sdk: Any, messages: Any = SAID, **fields: Any) -> Any:
    options = {"stream_options": {"include_usage": True}}
    with sdk.chat.completions.stream(model="m", messages=messages, **options, **fields) as stream:
        return stream.get_final_completion()


def whole(sdk: Any, messages: Any = SAID, **fields: Any) -> Any:
    return sdk.chat.completions.create(model="m", messages=messages, **fields)


def message(answer: Any) -> dict[str, Any]:
    """The message as it is sent back."""
    told = answer.choices[0].message.to_dict(mode="json")
    calls = [
        {name: call[name] for name in ("id", "type", "function")}
        for call in told.get("tool_calls") or ()
    ]
    kept = {name: told[name] for name in ("role", "content", "reasoning_content") if name in told}
    return {**kept, **({"tool_calls": calls} if calls else {})}


def outputs(answer: Any, text: str = "seen") -> list[dict[str, Any]]:
    calls = answer.choices[0].message.tool_calls or ()
    return [{"role": "tool", "tool_call_id": call.id, "content": text} for call in calls]


def conversation(ask: Callable[..., Any]) -> list[Any]:
    messages, answers = list(SAID), list[Any]()
    for said in ([], [], [{"role": "user", "content": "Thanks."}], []):
        answers.append(ask(messages))
        messages = [*messages, message(answers[-1]), *(said or outputs(answers[-1]))]
    return answers


def post(server: ScriptedServer, **fields: Any) -> httpx.Response:
    body = {"model": "m", "messages": SAID, **fields}
    return httpx.post(f"{server.base_url}/chat/completions", json=body, timeout=30)


def chunks(answer: httpx.Response) -> list[dict[str, Any]]:
    *frames, done, rest = answer.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


class TestAnAnswer:
    @pytest.mark.parametrize("how", [streamed, whole])
    def test_it_is_what_the_script_says(self, sdk: Any, how: Callable[..., Any]):
        answers = conversation(lambda messages: how(sdk, messages))
        first, second, third, fourth = (answer.choices[0].message for answer in answers)
        assert first.content == SCRIPT.turn[0].response[0].say
        assert first.reasoning_content == "I look first."
        assert [(call.function.name, call.function.arguments) for call in first.tool_calls] == [
            ("inspect", '{"names": ["weather"]}'),
            ("run_cell", "{}"),
        ]
        assert second.content in (None, "")
        assert second.tool_calls[0].function.arguments == "{not json"
        assert not hasattr(second, "reasoning_content")
        assert (third.content, fourth.content) == ("It was April.", "Gladly.")
        stops = [answer.choices[0].finish_reason for answer in answers]
        assert stops == ["tool_calls", "tool_calls", "stop", "stop"]

    def test_its_types_are_the_sdks(self, sdk: Any, server: ScriptedServer):
        for answer in conversation(lambda messages: whole(sdk, messages)):
            data = answer.to_dict(mode="json")
            types.ChatCompletion.model_validate_json(json.dumps(data), strict=True)
        for data in chunks(post(server, stream=True)):
            types.ChatCompletionChunk.model_validate_json(json.dumps(data), strict=True)

    def test_usage_comes_last_and_only_when_asked(self, server: ScriptedServer):
        assert not any("usage" in chunk for chunk in chunks(post(server, stream=True)))
        told = chunks(post(server, stream=True, stream_options={"include_usage": True}))
        assert [chunk["usage"] for chunk in told[:-1]] == [None] * (len(told) - 1)
        assert told[-1]["choices"] == []
        usage = told[-1]["usage"]
        assert usage == post(server).json()["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        assert usage["completion_tokens_details"]["reasoning_tokens"] > 0

    def test_equal_requests_get_equal_bytes_but_for_the_time(self, server: ScriptedServer):
        for stream in (True, False):
            once, again = (post(server, stream=stream).text for _ in range(2))
            stamp, stamp_again = (text.split('"created":')[1][:10] for text in (once, again))
            assert once.replace(stamp, stamp_again) == again

    def test_a_prefix_that_was_sent_before_is_cached(self):
        with serving() as server:
            said = [{"role": "system", "content": "Be kind. " * 500}, *SAID]
            first, second = (post(server, messages=said).json()["usage"] for _ in range(2))
        assert first["prompt_tokens_details"]["cached_tokens"] == 0
        assert second["prompt_tokens_details"]["cached_tokens"] == (
            first["prompt_tokens"] // 128 * 128
        )

    def test_an_image_after_outputs_belongs_to_them_and_begins_no_turn(self, sdk: Any):
        first = whole(sdk)
        images = {"role": "user", "content": [{"type": "text", "text": "The images:"}, IMAGE]}
        messages = [*SAID, message(first), *outputs(first), images]
        assert whole(sdk, messages).choices[0].message.tool_calls[0].id == "call_t0r1i1"
        messages.append({"role": "user", "content": "Stop."})
        assert whole(sdk, messages).choices[0].message.content == "Gladly."

    def test_the_expected_output_is_demanded(self, sdk: Any):
        first = whole(sdk)
        with pytest.raises(openai.BadRequestError, match="the script expects 'seen'"):
            whole(sdk, [*SAID, message(first), *outputs(first, "nothing")])

    def test_the_key_is_demanded(self):
        with serving(key="secret") as server, sdk_of(server, "wrong") as sdk:
            with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
                whole(sdk)
            assert whole(sdk.with_options(api_key="secret")).choices[0].message.content


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "error", "code"),
        [
            ({"status": 429, "code": "rate_limit_exceeded"}, "RateLimitError", None),
            ({"status": 429, "code": "insufficient_quota"}, "RateLimitError", None),
            ({"status": 503}, "InternalServerError", None),
            ({"status": 403}, "PermissionDeniedError", None),
            ({"status": 404, "code": "model_not_found"}, "NotFoundError", None),
            ({"status": 400, "code": "context_length_exceeded"}, "BadRequestError", None),
            ({"event": "failed"}, "InternalServerError", "server_error"),
            ({"event": "failed", "code": "context_length_exceeded"}, "BadRequestError", None),
        ],
    )
    def test_a_fault_is_the_sdks_error(self, fault: dict[str, Any], error: str, code: str | None):
        with (
            serving(fault=fault) as server,
            sdk_of(server) as sdk,
            pytest.raises(getattr(openai, error)) as caught,
        ):
            whole(sdk)
        assert caught.value.code == (code or fault.get("code"))

    @pytest.mark.parametrize("event", ["failed", "error"])
    @pytest.mark.parametrize("after", [None, 0, 6])
    def test_an_error_ends_a_stream(self, event: str, after: int | None):
        fault = {"event": event, "after": after, "code": "c", "message": "It broke."}
        with serving(fault=fault) as server, sdk_of(server) as sdk:
            last = chunks(post(server, stream=True))[-1]
            with pytest.raises(openai.APIError, match="It broke"):
                streamed(sdk)
        error = {"type": "server_error", "param": None, "code": "c", "message": "It broke."}
        assert last == {"error": error}

    @pytest.mark.parametrize(
        ("code", "finish"), [(None, "length"), ("content_filter", "content_filter")]
    )
    def test_an_incomplete_answer_says_why(self, code: str | None, finish: str):
        with serving(fault={"event": "incomplete", "code": code}) as server:
            told = chunks(post(server, stream=True))
            (choice,) = post(server).json()["choices"]
        assert told[-1]["choices"][0]["finish_reason"] == choice["finish_reason"] == finish
        assert choice["message"]["content"] == "one two three"

    def test_a_pause_is_no_news_here(self):
        with serving(fault={"event": "pause"}) as server:
            assert post(server).json()["choices"][0]["finish_reason"] == "stop"

    @pytest.mark.parametrize("after", [0, 1, 4])
    def test_the_connection_breaks_after_so_many_chunks(self, after: int):
        body = {"model": "m", "messages": SAID, "stream": True}
        with serving(fault={"after": after}) as server:
            url, received = f"{server.base_url}/chat/completions", list[str]()
            with (
                httpx.stream("POST", url, json=body) as answer,
                pytest.raises(httpx.RemoteProtocolError),
            ):
                received.extend(answer.iter_text())
        assert "".join(received).count("\n\n") == after

    def test_an_event_that_is_no_json_is_one_more(self):
        with serving(fault={"event": "malformed", "after": 2}) as server:
            frames = post(server, stream=True).text.split("\n\n")
        with pytest.raises(ValueError):
            json.loads(frames[2].removeprefix("data: "))
        assert frames[-2] == "data: [DONE]"


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
ANSWER = {"role": "tool", "tool_call_id": "call_1", "content": "ok"}
BROKEN: list[tuple[str, str, list[Any]]] = [
    ("Invalid 'messages': empty array.", "messages", []),
    ("Missing required parameter: 'messages[0].role'.", "messages[0].role", [{"content": "Go."}]),
    (
        "Invalid value: 'bot'. Supported values are: 'system', 'assistant', 'user', 'function',"
        " 'tool', and 'developer'.",
        "messages[0].role",
        [{"role": "bot", "content": "Go."}],
    ),
    (
        "Invalid value for 'content': expected a string, got null.",
        "messages[1].content",
        [*SAID, {"role": "assistant", "content": None}],
    ),
    (
        "Invalid value: 'sound'. Supported values are: 'text', 'image_url', 'input_audio', and"
        " 'file'.",
        "messages[0].content[0].type",
        [{"role": "user", "content": [{"type": "sound"}]}],
    ),
    (
        "Invalid value: 'input_audio'. Supported values are: 'text', and 'refusal'.",
        "messages[1].content[0].type",
        [*SAID, {"role": "assistant", "content": [{"type": "input_audio"}]}],
    ),
    (
        "Invalid 'messages[2]'. Image URLs are only allowed for messages with role 'user', but this"
        " message with role 'tool' contains an image URL.",
        "messages[2]",
        [*SAID, CALLS, {**ANSWER, "content": [IMAGE]}],
    ),
    (
        "The following tool_call_ids did not have response messages: call_1",
        "messages",
        [*SAID, CALLS],
    ),
    (
        "The following tool_call_ids did not have response messages: call_1",
        "messages",
        [*SAID, CALLS, *SAID, ANSWER],
    ),
    (
        "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
        "messages.[1].role",
        [*SAID, ANSWER],
    ),
    (
        "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
        "messages.[3].role",
        [*SAID, CALLS, ANSWER, ANSWER],
    ),
    (
        "messages with role 'tool' must have a 'tool_call_id'.",
        "messages.[2].tool_call_id",
        [*SAID, CALLS, {"role": "tool", "content": "ok"}],
    ),
    (
        "Invalid 'messages[1].tool_calls': empty array.",
        "messages[1].tool_calls",
        [*SAID, {**CALLS, "tool_calls": []}],
    ),
    (
        "Missing required parameter: 'messages[1].tool_calls[0].id'.",
        "messages[1].tool_calls[0].id",
        [*SAID, {**CALLS, "tool_calls": [{"function": CALL["function"]}]}],
    ),
    ("Invalid type for 'messages[0]", "messages[0].content", [{"role": "user", "content": 1}]),
    (
        "Invalid type for 'messages[1].tool_calls[0].function.arguments'",
        "messages[1].tool_calls[0].function.arguments",
        [*SAID, {**CALLS, "tool_calls": [{**CALL, "function": {"name": "f", "arguments": 1}}]}],
    ),
]


@pytest.mark.parametrize(("words", "param", "messages"), BROKEN)
def test_a_broken_rule_is_told_in_openais_words(
    sdk: Any, words: str, param: str, messages: list[Any]
):
    with pytest.raises(openai.BadRequestError) as caught:
        whole(sdk, messages)
    assert words in caught.value.body["message"]
    assert (caught.value.param, caught.value.type) == (param, "invalid_request_error")


def test_context_that_a_client_joins_with_the_words_names_no_turn(sdk: Any):
    answered = {"role": "assistant", "content": "It was April."}
    context = "<cells>\nIn [1]: wettest = 4\n</cells>\n\n<names>\nwettest: int 4\n</names>"
    said = {"role": "user", "content": f"{context}\n\nThank you."}
    assert whole(sdk, [*SAID, answered, said]).choices[0].message.content == "Gladly."
    alone = {"role": "user", "content": context}
    assert whole(sdk, [*SAID, alone]).choices[0].message.content.startswith("First")


def test_a_request_without_messages_or_model_is_refused(server: ScriptedServer):
    for name in ("model", "messages"):
        error = post(server, **{name: None}).json()["error"]
        assert (error["param"], error["code"]) == (name, "missing_required_parameter")
    for name in ("stream", "tools", "stream_options"):
        error = post(server, **{name: "yes"}).json()["error"]
        assert (error["param"], error["code"]) == (name, "invalid_type")


@given(
    st.lists(
        st.sampled_from([*SAID, CALLS, ANSWER, {"role": "assistant", "content": "a"}, {}, None])
        | st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "tool", "assistant", 1])},
            optional={
                "content": st.text() | st.lists(st.just({}) | st.just(IMAGE)) | st.integers()
            },
        )
    )
)
def test_any_messages_are_accepted_or_refused(messages: list[Any]):
    try:
        body = read_chat({"model": "m", "messages": messages})
    except RequestError as error:
        assert error.param
        return
    assert asked_of_chat(body).model == "m"
