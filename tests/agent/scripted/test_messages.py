"""The scripted server's Messages API, with the official `anthropic` SDK as its client."""

import json
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer

anthropic = pytest.importorskip("anthropic")
types = pytest.importorskip("anthropic.types")

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
call = [{name = "inspect"}]
[[turn.response]]
say = "It was April."
[[turn]]
[[turn.response]]
say = "Gladly."
""")
)
THINKING = {"type": "adaptive"}
ASK: dict[str, Any] = {
    "model": "m",
    "max_tokens": 2000,
    "thinking": THINKING,
    "messages": [{"role": "user", "content": "Which month was wettest?"}],
}
HEADERS = {"anthropic-version": "2023-06-01"}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(SCRIPT) as running:
        yield running


@pytest.fixture(scope="module")
def sdk(server: ScriptedServer) -> Iterator[Any]:
    with sdk_of(server) as client:
        yield client


def sdk_of(server: ScriptedServer, key: str = "any") -> Any:
    url = server.base_url.removesuffix("/v1")
    return anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)


def serving(key: str | None = None, **response: Any) -> ScriptedServer:
    """A server of one response."""
    script = {"turn": [{"response": [{"say": "one two three", **response}]}]}
    return ScriptedServer(Script.model_validate(script), key)


def streamed(sdk: Any, **fields: Any) -> Any:
    with sdk.messages.stream(**{**ASK, **fields}) as stream:
        return stream.get_final_message()


def content(message: Any) -> list[dict[str, Any]]:
    """The blocks as they are sent back."""
    return [block.to_dict(mode="json") for block in message.content]


def results(message: Any, text: str = "seen") -> dict[str, Any]:
    calls = [block.id for block in message.content if block.type == "tool_use"]
    blocks = [{"type": "tool_result", "tool_use_id": one, "content": text} for one in calls]
    return {"role": "user", "content": blocks}


def conversation(ask: Callable[..., Any]) -> list[Any]:
    """The answers of the whole script; `ask` sends the messages."""
    messages, answers = list(ASK["messages"]), list[Any]()
    for said in (None, None, {"role": "user", "content": "Thanks."}, None):
        answers.append(ask(messages=messages))
        more = said or results(answers[-1])
        messages = [*messages, {"role": "assistant", "content": content(answers[-1])}, more]
    return answers


class TestAnAnswer:
    def test_the_stream_accumulates_to_what_the_script_says(self, sdk: Any):
        first, second, third, fourth = conversation(lambda **more: streamed(sdk, **more))
        thought, text, *calls = first.content
        assert (thought.thinking, text.text) == ("I look first.", SCRIPT.turn[0].response[0].say)
        assert [(call.name, call.input) for call in calls] == [
            ("inspect", {"names": ["weather"]}),
            ("run_cell", {}),
        ]
        assert [block.type for block in second.content] == ["redacted_thinking", "tool_use"]
        assert [block.text for block in third.content] == ["It was April."]
        assert [block.text for block in fourth.content] == ["Gladly."]
        stops = [answer.stop_reason for answer in (first, second, third, fourth)]
        assert stops == ["tool_use", "tool_use", "end_turn", "end_turn"]

    def test_whole_it_is_the_same_and_strictly_typed(self, sdk: Any):
        def ask(**more: Any) -> Any:
            return sdk.messages.create(**{**ASK, **more})

        told = [answer.to_dict(mode="json") for answer in conversation(ask)]
        for data in told:
            types.Message.model_validate_json(json.dumps(data), strict=True)
        events = conversation(lambda **more: streamed(sdk, **more))
        assert [each["id"] for each in told] == [each.id for each in events]
        assert [each["usage"] for each in told] == [
            each.usage.to_dict(mode="json") for each in events
        ]

    def test_broken_arguments_are_streamed_as_they_are_and_else_kept_apart(self):
        call = [{"name": "f", "arguments": "{not json"}]
        with serving(call=call) as server, sdk_of(server) as sdk:
            whole = sdk.messages.create(**ASK)
            with pytest.raises(ValueError, match="Unable to parse"):
                streamed(sdk)
        assert whole.content[-1].input == {"INVALID_JSON": "{not json"}

    def test_its_events_are_in_the_apis_order(self, server: ScriptedServer):
        answer = post(server, stream=True)
        assert answer.headers["content-type"] == "text/event-stream"
        events = read_events(answer)
        kinds = [event["type"] for event in events]
        assert kinds[:3] == ["message_start", "content_block_start", "ping"]
        assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        assert events[0]["message"]["stop_reason"] is None
        started = [event["index"] for event in events if event["type"] == "content_block_start"]
        assert started == list(range(4))
        for event in events:
            if event["type"] != "ping":
                pydantic_model(event).model_validate_json(json.dumps(event), strict=True)

    def test_thinking_comes_only_when_it_is_asked_for(self, sdk: Any):
        for thinking in ({"type": "disabled"}, anthropic.omit):
            answer = streamed(sdk, thinking=thinking)
            assert [block.type for block in answer.content] == ["text", "tool_use", "tool_use"]
            assert answer.usage.output_tokens_details.thinking_tokens == 0

    def test_omitted_thinking_has_a_signature_and_goes_back(self, sdk: Any):
        thinking = {"type": "adaptive", "display": "omitted"}
        first = streamed(sdk, thinking=thinking)
        assert first.content[0].thinking == "" and first.content[0].signature
        said = [*ASK["messages"], {"role": "assistant", "content": content(first)}, results(first)]
        assert streamed(sdk, thinking=thinking, messages=said).content[-1].name == "inspect"

    def test_equal_requests_get_equal_bytes(self, server: ScriptedServer):
        for stream in (True, False):
            once, again = (post(server, stream=stream).text for _ in range(2))
            assert once == again

    def test_counted_tokens_are_those_of_the_usage(self, sdk: Any):
        fields = {"system": "Be brief. " * 900, "messages": ASK["messages"]}
        fields["system"] = [
            {"type": "text", "text": fields["system"], "cache_control": {"type": "ephemeral"}}
        ]
        counted = sdk.messages.count_tokens(model="m", **fields).input_tokens
        usage = streamed(sdk, thinking=anthropic.omit, **fields).usage
        assert usage.cache_creation_input_tokens > 2000
        assert counted == usage.input_tokens + usage.cache_creation_input_tokens

    def test_the_model_is_listed_as_anthropic_lists_it(self, sdk: Any, server: ScriptedServer):
        (model,) = sdk.models.list()
        told = httpx.get(f"{server.base_url}/models", headers=HEADERS).json()
        types.ModelInfo.model_validate_json(json.dumps(told["data"][0]), strict=True)
        assert (model.id, told["has_more"]) == ("scripted/test", False)
        assert sdk.models.retrieve("scripted/test") == model
        with pytest.raises(anthropic.NotFoundError):
            sdk.models.retrieve("other")
        assert httpx.get(f"{server.base_url}/models").json()["object"] == "list"


def post(server: ScriptedServer, **fields: Any) -> httpx.Response:
    body = {**ASK, **fields}
    return httpx.post(f"{server.base_url}/messages", json=body, headers=HEADERS, timeout=30)


def read_events(answer: httpx.Response) -> list[dict[str, Any]]:
    """The data of every frame, whose `event:` is its type."""
    events: list[dict[str, Any]] = []
    for frame in answer.text.strip().split("\n\n"):
        name, data = frame.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def pydantic_model(event: dict[str, Any]) -> Any:
    name = "".join(word.title() for word in event["type"].split("_"))
    return getattr(types, f"Raw{name}Event")


class TestKeys:
    @pytest.mark.parametrize("name", ["x-api-key", "authorization"])
    def test_the_key_comes_in_either_header(self, name: str):
        with serving(key="secret") as server:
            scheme = "Bearer " if name == "authorization" else ""
            for key, status in {"secret": 200, "wrong": 401, None: 401}.items():
                sent = {name: f"{scheme}{key}"} if key else {}
                answer = httpx.post(
                    f"{server.base_url}/messages", json=ASK, headers={**HEADERS, **sent}
                )
                assert answer.status_code == status
                kind = answer.json().get("error", {}).get("type")
                assert kind == (None if status == 200 else "authentication_error")

    def test_a_request_names_the_version_of_the_api(self, server: ScriptedServer):
        answer = httpx.post(f"{server.base_url}/messages", json=ASK)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == "anthropic-version: header is required"

    def test_the_sdk_sends_one_that_is_accepted(self):
        with serving(key="secret") as server, sdk_of(server, "secret") as sdk:
            assert streamed(sdk).content[0].text == "one two three"


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "error", "kind"),
        [
            ({"status": 429}, "RateLimitError", "rate_limit_error"),
            ({"status": 529}, "OverloadedError", "overloaded_error"),
            ({"status": 500}, "InternalServerError", "api_error"),
            ({"status": 402}, "APIStatusError", "billing_error"),
            ({"status": 403}, "PermissionDeniedError", "permission_error"),
            ({"status": 413}, "RequestTooLargeError", "request_too_large"),
            (
                {"status": 400, "code": "context_length_exceeded"},
                "BadRequestError",
                "invalid_request_error",
            ),
            ({"event": "failed"}, "InternalServerError", "api_error"),
            ({"event": "error", "code": "rate_limit_exceeded"}, "RateLimitError", None),
        ],
    )
    def test_a_fault_is_the_sdks_error(self, fault: dict[str, Any], error: str, kind: str | None):
        with serving(fault=fault) as server, sdk_of(server) as sdk:
            wanted = getattr(anthropic, error, anthropic.APIStatusError)
            with pytest.raises(wanted) as caught:
                sdk.messages.create(**ASK)
        assert caught.value.body["type"] == "error"
        assert caught.value.body["error"]["type"] == (kind or "rate_limit_error")

    def test_a_prompt_that_is_too_long_is_told_in_anthropics_words(self):
        with serving(fault={"status": 400, "code": "context_length_exceeded"}) as server:
            assert post(server).json()["error"]["message"].startswith("prompt is too long: ")

    @pytest.mark.parametrize("event", ["failed", "error"])
    @pytest.mark.parametrize("after", [None, 0, 1, 6])
    def test_an_error_ends_a_stream(self, event: str, after: int | None):
        fault = {"event": event, "after": after, "code": "overloaded_error", "message": "Full."}
        with serving(fault=fault) as server, sdk_of(server) as sdk:
            events = read_events(post(server, stream=True))
            with pytest.raises(anthropic.APIStatusError, match="Full"):
                streamed(sdk)
        error = {"type": "overloaded_error", "message": "Full."}
        assert events[-1] == {"type": "error", "error": error}
        assert ("message_start" in str(events)) == (after != 0)
        assert "message_stop" not in str(events)
        closed = [event["index"] for event in events if event["type"] == "content_block_stop"]
        assert closed == ([0] if after is None else [])

    @pytest.mark.parametrize(
        ("code", "stop"),
        [
            (None, "max_tokens"),
            ("content_filter", "refusal"),
            ("model_context_window_exceeded", "model_context_window_exceeded"),
        ],
    )
    def test_an_incomplete_answer_says_why(self, code: str | None, stop: str):
        with serving(fault={"event": "incomplete", "code": code}) as server, sdk_of(server) as sdk:
            for answer in (streamed(sdk), sdk.messages.create(**ASK)):
                assert (answer.stop_reason, answer.content[0].text) == (stop, "one two three")
                details = answer.stop_details
                assert (details and details.type) == ("refusal" if stop == "refusal" else None)

    def test_an_answer_cut_in_the_middle_has_what_was_said(self):
        fault = {"event": "incomplete", "after": 6}
        with serving(fault=fault) as server, sdk_of(server) as sdk:
            for answer in (streamed(sdk), sdk.messages.create(**ASK)):
                assert (answer.stop_reason, answer.content[0].text) == ("max_tokens", "one two ")

    def test_a_paused_turn_goes_on_when_it_is_sent_back(self):
        turn = {"response": [{"say": "One.", "fault": {"event": "pause"}}, {"say": "Two."}]}
        script = Script.model_validate({"turn": [turn]})
        with ScriptedServer(script) as server, sdk_of(server) as sdk:
            first = streamed(sdk)
            said = [*ASK["messages"], {"role": "assistant", "content": content(first)}]
            second = streamed(sdk, messages=said)
        assert (first.stop_reason, second.stop_reason) == ("pause_turn", "end_turn")
        assert second.content[0].text == "Two."

    @pytest.mark.parametrize("after", [0, 1, 5])
    def test_the_connection_breaks_after_so_many_of_the_apis_events(self, after: int):
        with serving(fault={"after": after}) as server, pytest.raises(httpx.RemoteProtocolError):
            received = ""
            try:
                with httpx.stream(
                    "POST",
                    f"{server.base_url}/messages",
                    json={**ASK, "stream": True},
                    headers=HEADERS,
                ) as answer:
                    for text in answer.iter_text():
                        received += text
            finally:
                assert received.count("\n\n") == after

    def test_an_event_that_is_no_json_is_one_more(self):
        with serving(fault={"event": "malformed", "after": 3}) as server:
            frames = post(server, stream=True).text.split("\n\n")
        with pytest.raises(ValueError):
            json.loads(frames[3].split("data: ")[1])
        assert "message_stop" in frames[-2]

    def test_the_attempts_are_counted_with_those_of_the_other_apis(self):
        with serving(fault={"status": 500, "times": 2}) as server:
            said = {"model": "m", "messages": ASK["messages"]}
            answers = [
                post(server),
                httpx.post(f"{server.base_url}/chat/completions", json=said),
                httpx.post(f"{server.base_url}/responses", json={"model": "m", "input": "x"}),
            ]
        assert [answer.status_code for answer in answers] == [500, 500, 200]


class TestCaching:
    """The model of the cache: marks, what they find, and what is too short."""

    @pytest.fixture
    def asks(self) -> Iterator[Callable[..., Any]]:
        turn = {"response": [{"say": "Yes."}]}
        with (
            ScriptedServer(Script.model_validate({"turn": [turn] * 9})) as server,
            sdk_of(server) as sdk,
        ):

            def ask(*blocks: Any, **more: Any) -> Any:
                said = [{"role": "user", "content": list(blocks)}]
                fields = {"model": "m", "max_tokens": 9, "messages": said, **more}
                return sdk.messages.create(**fields).usage

            yield ask

    def test_a_marked_prefix_is_written_once_and_read_after(self, asks: Callable[..., Any]):
        first, second = asks(long(0, "5m")), asks(long(0, "5m"), block("more"))
        assert first.cache_creation_input_tokens > 1024 > first.input_tokens
        assert first.cache_creation.ephemeral_5m_input_tokens == first.cache_creation_input_tokens
        assert second.cache_read_input_tokens == first.cache_creation_input_tokens
        assert (second.cache_creation_input_tokens, second.input_tokens > 0) == (0, True)

    def test_without_a_mark_nothing_is_read_or_written(self, asks: Callable[..., Any]):
        for usage in (asks(long(0)), asks(long(0))):
            assert (usage.cache_creation_input_tokens, usage.cache_read_input_tokens) == (0, 0)

    def test_a_short_prefix_is_silently_not_cached(self, asks: Callable[..., Any]):
        for usage in (asks(block("short", "5m")), asks(block("short", "5m"))):
            assert (usage.cache_creation_input_tokens, usage.cache_read_input_tokens) == (0, 0)

    @pytest.mark.parametrize(("between", "found"), [(19, True), (20, False)])
    def test_a_mark_looks_back_twenty_blocks(
        self, asks: Callable[..., Any], between: int, found: bool
    ):
        asks(long(0, "5m"))
        more = [block(f"number {number}") for number in range(between - 1)]
        usage = asks(long(0), *more, block("end", "5m"))
        assert (usage.cache_read_input_tokens > 0) == found

    def test_an_older_mark_finds_what_the_last_one_cannot(self, asks: Callable[..., Any]):
        asks(long(0, "5m"))
        more = [block(f"number {number}") for number in range(30)]
        usage = asks(long(0, "5m"), *more, block("end", "5m"))
        assert usage.cache_read_input_tokens > 1024
        assert 0 < usage.cache_creation_input_tokens < 1024

    def test_a_mark_is_no_part_of_the_prompt_even_in_a_result(self, asks: Callable[..., Any]):
        call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
        result = {"type": "tool_result", "tool_use_id": "toolu_1"}
        begun = [{"role": "user", "content": "Go."}, {"role": "assistant", "content": [call]}]
        for ttl, read in (("5m", False), (None, True)):
            answered = {**result, "content": [long(0, ttl)]}
            said = {"role": "user", "content": [answered, block("more", "5m")]}
            usage = asks(messages=[*begun, said])
            assert (usage.cache_read_input_tokens > 1024) == read

    def test_each_time_to_live_is_counted_apart(self, asks: Callable[..., Any]):
        usage = asks(long(0, "1h"), long(1, "5m"))
        assert usage.cache_creation.ephemeral_1h_input_tokens > 1024
        assert usage.cache_creation.ephemeral_5m_input_tokens > 1024

    def test_a_mark_of_the_whole_request_is_on_its_last_block(self, asks: Callable[..., Any]):
        asks(long(0), cache_control={"type": "ephemeral"})
        assert asks(long(0, "5m")).cache_read_input_tokens > 1024

    def test_another_thinking_keeps_the_system_and_loses_the_messages(
        self, asks: Callable[..., Any]
    ):
        system = [long(5, "5m")]
        asks(long(0, "5m"), system=system)
        usage = asks(long(0, "5m"), system=system, thinking=THINKING)
        assert usage.cache_read_input_tokens > 1024
        assert usage.cache_creation_input_tokens > 1024


def block(text: str, ttl: str | None = None) -> dict[str, Any]:
    mark = {"cache_control": {"type": "ephemeral", "ttl": ttl}} if ttl else {}
    return {"type": "text", "text": text, **mark}


def long(number: int, ttl: str | None = None) -> dict[str, Any]:
    return block(f"word {number} " * 700, ttl)
