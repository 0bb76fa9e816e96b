"""The scripted model's server, over real HTTP."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer

QUICKSTART = {
    "model": "scripted/test",
    "turn": [
        {
            "on": "wettest",
            "response": [
                {
                    "reasoning": "I look at the frame before I write code.",
                    "say": "First I look.\nThen — I compute.",
                    "call": [
                        {"name": "inspect", "arguments": {"names": ["weather"]}},
                        {"name": "run_cell", "arguments": {"code": "weather.sum()\n"}},
                    ],
                },
                {"expect": "AttributeError", "say": "It was April."},
            ],
        },
        {"response": [{"say": "Gladly."}]},
    ],
}
ASK: dict[str, Any] = {"model": "m", "input": "Which month was wettest?", "stream": True}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(Script.model_validate(QUICKSTART)) as running:
        yield running


def serving(key: str | None = None, pace: float = 0, **response: Any) -> ScriptedServer:
    """A server of one response."""
    script = {"pace": pace, "turn": [{"response": [{"say": "one two three", **response}]}]}
    return ScriptedServer(Script.model_validate(script), key)


def post(server: ScriptedServer, **options: Any) -> httpx.Response:
    return httpx.post(f"{server.base_url}/responses", json=ASK, timeout=30, **options)


def read_events(text: str) -> list[dict[str, Any]]:
    """The data of every frame. Checks the framing: `event:` is the type, [DONE] comes last."""
    *body, done, rest = text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    events: list[dict[str, Any]] = []
    for frame in body:
        name, data = frame.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def check_order(events: list[dict[str, Any]]) -> None:
    """Check that `events` are in the order the protocol prescribes, and agree with each other."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds[:2] == ["created", "in_progress"]
    assert [kind in ("completed", "failed", "incomplete") for kind in kinds].count(True) == 1
    final = events[-1]["response"]
    assert kinds[-1] == final["status"]
    assert {event["response"]["id"] for event in events if "response" in event} == {final["id"]}
    position = 2
    for index, item in enumerate(final["output"]):
        size = check_item(index, item, events[position:], kinds[position:])
        position += size
    assert position == len(events) - 1


def check_item(
    index: int, item: dict[str, Any], events: list[dict[str, Any]], kinds: list[str]
) -> int:
    """Check the events of one item, the first of `events`; how many they are."""
    size = kinds.index("output_item.done") + 1
    first, *inner, last = events[:size]
    assert kinds[0] == "output_item.added"
    assert last["item"] == item
    assert first["output_index"] == last["output_index"] == index
    assert {event["item_id"] for event in inner} == {first["item"]["id"]} == {item["id"]}
    assert {event["output_index"] for event in inner} == {index}
    parted, name, key = {
        "message": ("content_part", "output_text", "text"),
        "reasoning": ("reasoning_summary_part", "reasoning_summary_text", "text"),
        "function_call": (None, "function_call_arguments", "arguments"),
    }[item["type"]]
    names = kinds[1 : size - 1]
    if parted:
        assert (names[0], names[-1]) == (f"{parted}.added", f"{parted}.done")
        assert inner[0]["part"]["text"] == ""
        assert inner[-1]["part"] == (item.get("content") or item.get("summary"))[0]
        names, inner = names[1:-1], inner[1:-1]
    assert names == [f"{name}.delta"] * (len(names) - 1) + [f"{name}.done"]
    whole = "".join(event["delta"] for event in inner[:-1])
    assert whole == inner[-1][key]
    assert whole == (item["arguments"] if key == "arguments" else last_text(item))
    return size


def last_text(item: dict[str, Any]) -> str:
    return (item.get("content") or item["summary"])[-1]["text"]


class TestTheStream:
    def test_its_events_are_in_the_protocols_order(self, client: httpx.Client):
        answer = client.post("/responses", json=ASK)
        assert answer.headers["content-type"] == "text/event-stream"
        events = read_events(answer.text)
        check_order(events)
        kinds = [item["type"] for item in events[-1]["response"]["output"]]
        assert kinds == ["reasoning", "message", "function_call", "function_call"]

    def test_not_streamed_the_same_response_comes_as_json(self, client: httpx.Client):
        streamed = read_events(client.post("/responses", json=ASK).text)[-1]["response"]
        plain = client.post("/responses", json={**ASK, "stream": False}).json()
        times = {"created_at": 0, "completed_at": 0}
        assert plain | times == streamed | times

    def test_the_same_request_gets_the_same_bytes(self, client: httpx.Client):
        once, again = (client.post("/responses", json=ASK).text for _ in range(2))
        stamp = json.loads(once.split("data: ")[1].split("\n")[0])["response"]["created_at"]
        stamp_again = json.loads(again.split("data: ")[1].split("\n")[0])["response"]["created_at"]
        assert once == again.replace(str(stamp_again), str(stamp))

    def test_every_event_of_a_conversation_is_strict_open_responses(self, client: httpx.Client):
        types = pytest.importorskip("openresponses_types.types")
        models = {
            next(iter(model.model_fields["type"].annotation)).value: model
            for name, model in vars(types).items()
            if name.endswith("StreamingEvent")
        }
        for request in conversation(client):
            for event in read_events(client.post("/responses", json=request).text):
                models[event["type"]].model_validate_json(json.dumps(event))

    def test_words_come_no_faster_than_the_scripts_pace(self):
        with serving(pace=0.1) as server:
            began = time.monotonic()
            events = read_events(post(server).text)
        assert len([event for event in events if "delta" in event]) == 3
        assert time.monotonic() - began >= 0.3

    async def test_many_clients_are_served_side_by_side(self):
        with serving(pace=0.01, say="word " * 20) as server:
            async with httpx.AsyncClient(base_url=server.base_url, timeout=60) as client:
                posts = (client.post("/responses", json=ASK) for _ in range(12))
                answers = await asyncio.gather(*posts)
        for answer in answers:
            check_order(read_events(answer.text))


def conversation(client: httpx.Client) -> list[dict[str, Any]]:
    """The three requests of two turns, with what the server answered in between."""
    first = {**ASK, "input": [{"role": "user", "content": ASK["input"]}]}
    output = read_events(client.post("/responses", json=first).text)[-1]["response"]["output"]
    results = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "AttributeError"}
        for item in output
        if item["type"] == "function_call"
    ]
    second = {**ASK, "input": [*first["input"], *output, *results]}
    answer = read_events(client.post("/responses", json=second).text)[-1]["response"]["output"]
    thanks = {"role": "user", "content": "Thanks, go on."}
    return [first, second, {**ASK, "input": [*second["input"], *answer, thanks]}]


class TestAConversation:
    def test_two_turns_play_in_order(self, client: httpx.Client):
        said = [
            last_text(read_events(client.post("/responses", json=request).text)[-2]["item"])
            for request in conversation(client)[1:]
        ]
        assert said == ["It was April.", "Gladly."]

    def test_an_unexpected_tool_output_is_a_clear_error(self, client: httpx.Client):
        request = conversation(client)[1]
        request["input"][-1]["output"] = "all well"
        answer = client.post("/responses", json=request)
        error = answer.json()["error"]
        assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
        assert "'AttributeError'" in error["message"]
        assert "all well" in error["message"]

    def test_past_the_end_of_the_script_is_a_clear_error(self, client: httpx.Client):
        request = conversation(client)[2]
        done = {"type": "message", "id": "msg_t1r0i0", "role": "assistant", "content": "Gladly."}
        request["input"] += [done, {"role": "user", "content": "And now?"}]
        answer = client.post("/responses", json=request)
        assert answer.status_code == 400
        assert "no response 0 for turn 2" in answer.json()["error"]["message"]

    def test_the_second_request_of_a_cache_key_finds_the_first_cached(self, client: httpx.Client):
        request = {**ASK, "instructions": "Be kind. " * 500, "prompt_cache_key": "a"}
        request["stream"] = False
        first, second = (client.post("/responses", json=request).json()["usage"] for _ in range(2))
        assert first["input_tokens_details"]["cached_tokens"] == 0
        assert second["input_tokens_details"]["cached_tokens"] == first["input_tokens"] // 128 * 128


class TestOtherEnds:
    @pytest.mark.parametrize("event", ["failed", "incomplete"])
    def test_a_response_may_end_otherwise(self, event: str):
        fault = {"event": event, "code": "odd", "message": "No more."}
        with serving(fault=fault) as server:
            events = read_events(post(server).text)
        check_order(events)
        response = events[-1]["response"]
        assert response["status"] == event
        assert (response["error"] or {}).get("message") == (
            "No more." if event == "failed" else None
        )
        assert response["incomplete_details"] == (
            {"reason": "odd"} if event == "incomplete" else None
        )

    @pytest.mark.parametrize("after", [0, 5])
    def test_an_error_event_is_followed_by_the_failed_response(self, after: int):
        with serving(fault={"event": "error", "after": after, "code": "c"}) as server:
            events = read_events(post(server).text)
        assert len(events) == after + 2
        assert events[-2]["type"] == "error"
        assert events[-2]["error"]["code"] == events[-1]["response"]["error"]["code"] == "c"

    def test_a_failed_response_that_is_not_streamed(self):
        with serving(fault={"event": "failed"}) as server:
            answer = httpx.post(f"{server.base_url}/responses", json={**ASK, "stream": False})
        assert answer.json()["status"] == "failed"


class TestTheOfficialSdk:
    def test_it_accumulates_the_stream(self, server: ScriptedServer):
        openai = pytest.importorskip("openai")
        with openai.OpenAI(base_url=server.base_url, api_key="any") as client:
            tools = [{"type": "function", "name": "inspect", "parameters": {"type": "object"}}]
            with client.responses.stream(model="m", input=ASK["input"], tools=tools) as stream:
                kinds = [event.type for event in stream]
                first = stream.get_final_response()
            assert kinds[-1] == "response.completed"
            assert first.output_text == QUICKSTART["turn"][0]["response"][0]["say"]
            results = [
                {
                    "type": "function_call_output",
                    "call_id": item.call_id,
                    "output": "AttributeError",
                }
                for item in first.output
                if item.type == "function_call"
            ]
            sent = [{"role": "user", "content": ASK["input"]}, *first.output, *results]
            assert client.responses.create(model="m", input=sent).output_text == "It was April."

    def test_it_reads_our_errors(self):
        openai = pytest.importorskip("openai")
        with (
            serving(key="secret") as server,
            openai.OpenAI(base_url=server.base_url, api_key="wrong") as client,
            pytest.raises(openai.AuthenticationError, match="Incorrect API key"),
        ):
            client.responses.create(model="m", input="x")


FOREIGN = (
    {"host": "evil.example"},
    {"host": "evil.example:{port}"},
    {"host": "127.0.0.1.evil.example:{port}"},
    {"host": "localhost.evil.example"},
    {"host": "localhost@evil.example:{port}"},
    {"host": "192.0.2.1:{port}"},
    {"host": ""},
    {"origin": "https://evil.example"},
    {"origin": "http://localhost:1"},
    {"origin": "http://127.0.0.1:{port}.evil.example"},
    {"origin": "null"},
)


def filled(headers: dict[str, str], server: ScriptedServer) -> dict[str, str]:
    return {name: it.format(port=httpx.URL(server.base_url).port) for name, it in headers.items()}


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_of_another_site_gets_nothing(headers: dict[str, str]) -> None:
    with serving() as server:
        post(server)
        sent = filled(headers, server)
        status = 403 if "origin" in sent else 421
        assert post(server, headers=sent).status_code == status
        for path in ("models", "responses/resp_1", "responses/resp_1/input_items"):
            answer = httpx.get(f"{server.base_url}/{path}", headers=sent)
            assert answer.status_code == status and "one two" not in answer.text
        upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
        upgrade["sec-websocket-key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        answer = httpx.get(f"{server.base_url}/responses", headers=upgrade | sent)
        assert answer.status_code == status
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost:{port}"},
        {"host": "LOCALHOST:9000"},  # through a tunnel from another port
        {"host": "[::1]:{port}"},
        {"origin": "http://127.0.0.1:{port}"},
        {"host": "localhost:9000", "origin": "http://localhost:9000"},
    ],
)
def test_its_own_name_and_its_own_pages_are_answered(headers: dict[str, str]) -> None:
    with serving() as server:
        assert post(server, headers=filled(headers, server)).status_code == 200


def test_on_all_addresses_any_address_is_its_own_and_no_name_is() -> None:
    script = Script.model_validate({"turn": [{"response": [{"say": "one"}]}]})
    with ScriptedServer(script, host="0.0.0.0") as server:
        hosts = {"192.0.2.1:80": 200, "[2001:db8::1]": 200, "localhost": 200, "evil.example": 421}
        for host, status in hosts.items():
            assert post(server, headers={"host": host}).status_code == status
