"""The official `openai` SDK against the scripted server: every route, and strict types."""

import json
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from inkernel.agent.protocol.items import output_of, parse_item
from inkernel.agent.scripted.hosted.searches import search_item
from inkernel.agent.scripted.request import Position
from inkernel.agent.scripted.script import Script, ScriptedCall
from inkernel.agent.scripted.server import ScriptedServer
from inkernel.agent.tools.mcp.search import SearchScope, search_row, search_tool

from .order import Event, violations
from .playing import Ask, outputs, play

openai = pytest.importorskip("openai")
responses = pytest.importorskip("openai.types.responses")
# The SDK opens WebSockets in a way that websockets 17.1 calls old.
pytestmark = pytest.mark.filterwarnings(r"ignore:connect\(\) must be used:DeprecationWarning")


def by_type(union: Any) -> dict[str, Any]:
    """The classes of the SDK's union of events."""
    models = get_args(get_args(union)[0])
    return {get_args(model.model_fields["type"].annotation)[0]: model for model in models}


OVER_SSE = by_type(responses.ResponseStreamEvent)
OVER_WEBSOCKET = by_type(responses.ResponsesServerEvent)


def checked(event: Any, models: dict[str, Any]) -> Event:
    """An event's data, which the SDK itself takes without a look."""
    data = event.to_dict(mode="json")
    strict(models[data["type"]], data)
    return data


def strict(model: Any, data: Event) -> None:
    model.model_validate_json(json.dumps(data), strict=True)


@pytest.fixture
def sdk(server: ScriptedServer) -> Iterator[Any]:
    """The SDK's client of `server`."""
    with openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client:
        yield client


def test_each_script_streams_to_its_final_response(script: Script, sdk: Any):
    def ask(asked: Ask) -> Event:
        fields = {**asked.fields, "input": asked.items}
        try:
            with sdk.responses.create(**fields, stream=True) as stream:
                last = [checked(event, OVER_SSE) for event in stream][-1]["response"]
        except openai.APIError:  # what it makes of an `error` event
            return {"status": "failed"}
        with sdk.responses.stream(**fields) as stream:
            if last["status"] != "completed":
                with pytest.raises(RuntimeError, match=r"response\.completed"):
                    stream.get_final_response()
                return last
            final = stream.get_final_response()
        assert [item.id for item in final.output] == [item["id"] for item in last["output"]]
        assert final.output_text == responses.Response.model_validate(last).output_text
        return last

    play(script, ask)


def test_each_script_not_streamed_chains_by_the_id_of_the_response_before(script: Script, sdk: Any):
    def ask(asked: Ask) -> Event:
        before = asked.previous or openai.omit
        made = sdk.responses.create(**asked.fields, input=asked.new, previous_response_id=before)
        given = made.to_dict(mode="json")
        strict(responses.Response, given)
        assert sdk.responses.retrieve(made.id).to_dict(mode="json") == given
        return given

    play(script, ask)


def test_each_script_over_one_websocket(script: Script, sdk: Any):
    with sdk.responses.connect() as connection:

        def ask(asked: Ask) -> Event:
            before = asked.previous or openai.omit
            connection.response.create(
                **asked.fields, input=asked.new, previous_response_id=before, store=False
            )
            events = received(connection)
            assert violations(events) == []
            return events[-1]["response"]

        play(script, ask)


def received(connection: Any) -> list[Event]:
    """The events of one response, or one error."""
    events: list[Event] = []
    for event in connection:
        events.append(checked(event, OVER_WEBSOCKET))
        if events[-1].get("response", {}).get("status") in ("completed", "failed", "incomplete"):
            return events
        if "status" in events[-1]:
            return events
    raise AssertionError("the server closed the connection")


WORDS = """
model = "words"
[[turn]]
on = "hello"
[[turn.response]]
say = "Hello."
[[turn]]
on = "look"
[[turn.response]]
[[turn.response.call]]
name = "look"
[[turn.response]]
expect = "seen"
say = "I saw it."
[[turn]]
on = "again"
[[turn.response]]
say = "Once more."
"""


@pytest.fixture
def words(scripted: Callable[..., ScriptedServer]) -> Iterator[Any]:
    """The SDK's client of a server of `WORDS`."""
    server = scripted(WORDS, "secret")
    with openai.OpenAI(base_url=server.base_url, api_key="secret", max_retries=0) as client:
        yield client


def hello(client: Any, **fields: Any) -> Any:
    return client.responses.create(model="words", input="hello", **fields)


def test_the_models_are_listed(words: Any):
    (model,) = words.models.list()
    strict(type(model), model.to_dict(mode="json"))
    assert model.id == "words"
    assert words.models.retrieve("words") == model


def test_a_deleted_response_is_gone(words: Any):
    made = hello(words)
    words.responses.delete(made.id)
    for gone in (words.responses.retrieve, words.responses.delete):
        with pytest.raises(openai.NotFoundError):
            gone(made.id)
    with pytest.raises(openai.APIStatusError) as caught:
        words.responses.create(model="words", input="again", previous_response_id=made.id)
    assert caught.value.code == "previous_response_not_found"


def test_a_response_that_is_not_stored_is_not_found(words: Any):
    made = hello(words, store=False)
    with pytest.raises(openai.NotFoundError):
        words.responses.retrieve(made.id)


def test_the_input_items_of_a_response_are_listed_page_by_page(words: Any):
    called = words.responses.create(model="words", input="look").output[-1].call_id
    said = [
        {"role": "user", "content": "look"},
        {"type": "function_call", "call_id": called, "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": called, "output": "seen"},
    ]
    made = words.responses.create(model="words", input=said)
    page = words.responses.input_items.list(made.id, order="asc", limit=2)
    items = [item.to_dict(mode="json") for item in page]
    assert [item["type"] for item in items] == ["message", "function_call", "function_call_output"]
    assert len({item["id"] for item in items}) == 3
    assert items[0]["content"] == [{"type": "input_text", "text": "look"}]
    newest = words.responses.input_items.list(made.id, limit=1)
    assert [item.id for item in newest.data] == [items[-1]["id"]]
    union = responses.ResponseItemList.model_fields["data"].annotation
    TypeAdapter(union).validate_json(json.dumps(items), strict=True)


def test_input_tokens_are_counted_as_usage_reports_them(words: Any):
    fields = {"model": "words", "input": "hello", "instructions": "Be brief. " * 50}
    counted = words.responses.input_tokens.count(**fields)
    strict(type(counted), counted.to_dict(mode="json"))
    assert counted.input_tokens == words.responses.create(**fields).usage.input_tokens > 100


def test_input_tokens_of_a_chain_are_those_of_the_whole_conversation(words: Any):
    made = hello(words)
    more = {"model": "words", "input": "again", "previous_response_id": made.id}
    counted = words.responses.input_tokens.count(**more).input_tokens
    assert counted == words.responses.create(**more).usage.input_tokens
    assert counted > made.usage.input_tokens + made.usage.output_tokens // 2


def test_a_compacted_conversation_goes_on(words: Any):
    said = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Good day."}]
    window = words.responses.compact(model="words", input=said)
    data = window.to_dict(mode="json", warnings=False)  # it has no type for users' messages here
    assert (data["object"], data["output"][-1]["type"]) == ("response.compaction", "compaction")
    assert [item["type"] for item in data["output"]].count("compaction") == 1
    strict(type(window.usage), data["usage"])
    asked = [*data["output"], {"role": "user", "content": "again"}]
    assert words.responses.create(model="words", input=asked).output_text == "Once more."


def test_a_stored_response_is_compacted_by_its_id(words: Any):
    window = words.responses.compact(model="words", previous_response_id=hello(words).id)
    assert window.output[-1].type == "compaction"


def test_a_websocket_goes_on_after_an_error(words: Any):
    with words.responses.connect() as connection:
        connection.response.create(model="words", input="look", store=False)
        first = received(connection)[-1]["response"]
        connection.response.create(model="words", input="x", previous_response_id="resp_none")
        (error,) = received(connection)
        assert (error["status"], error["error"]["code"]) == (400, "previous_response_not_found")
        asked = {"input": outputs(first, "seen"), "previous_response_id": first["id"]}
        connection.response.create(model="words", store=False, **asked)
        second = received(connection)[-1]["response"]
        assert second["previous_response_id"] == first["id"]
        assert second["output"][0]["content"][0]["text"] == "I saw it."


def test_a_stored_response_goes_on_over_another_transport(words: Any):
    made = hello(words)
    with words.responses.connect() as connection:
        connection.response.create(model="words", input="again", previous_response_id=made.id)
        second = received(connection)[-1]["response"]
    third = words.responses.create(model="words", input="hello", previous_response_id=second["id"])
    assert third.previous_response_id == second["id"]
    assert third.output_text == "Hello."


def test_a_websocket_wants_the_key(words: Any):
    intruder = words.with_options(api_key="wrong")
    with pytest.raises(Exception, match="401"), intruder.responses.connect():
        pass


def test_the_same_conversation_reads_the_same_tokens_by_id_and_whole(words: Any):
    made = hello(words)
    said = [
        {"role": "user", "content": "hello"},
        *made.output,
        {"role": "user", "content": "again"},
    ]
    whole = words.responses.create(model="words", input=said)
    chained = words.responses.create(model="words", input=said[-1:], previous_response_id=made.id)
    assert whole.usage == chained.usage
    assert whole.output_text == chained.output_text


def test_a_search_for_tools_and_our_answer_have_the_types_of_the_sdk():
    asked = search_item(
        ScriptedCall(name="tool_search", arguments={"query": "x"}), Position(0, 0), 0
    )
    strict(responses.ResponseToolSearchCall, asked)
    function = {"type": "function", "name": "log", "parameters": {}, "strict": False}
    loads = {"type": "namespace", "name": "mcp__git", "description": "git"}
    loads["tools"] = [{**function, "defer_loading": True}]
    answer = json.loads(output_of(parse_item(asked), [], [loads]).wire)
    strict(responses.ResponseToolSearchOutputItemParam, answer)
    scope = SearchScope(lambda _tool, _name: True, dict, 1_000)
    servers: Any = None
    strict(responses.ToolSearchTool, search_tool(servers, search_row(["git"]), scope).schema)
