"""Every deviation a script can ask for, played to the real client: it loses nothing that came."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.dialects.dialect import ResponseDone
from inkernel.agent.dialects.request import Request
from inkernel.agent.errors import (
    ContextLengthError,
    IncompleteError,
    ModelError,
    RequestRefusedError,
    ServerFaultError,
)
from inkernel.agent.protocol.events import TextDelta
from inkernel.agent.protocol.items import (
    FunctionCall,
    Item,
    Message,
    OtherCall,
    Reasoning,
    output_of,
    text_part,
)
from inkernel.agent.providers.catalog import Capabilities
from inkernel.agent.providers.resolve import Target
from inkernel.agent.scripted.deviations import OF_EVENTS, Frame, deviate
from inkernel.agent.scripted.model import frames
from inkernel.agent.scripted.profiles import (
    DEVIATION_NAMES,
    OF_ERRORS,
    OF_FRAMING,
    OF_REQUESTS,
    PROFILES,
)
from inkernel.agent.scripted.request import find_position, read_request
from inkernel.agent.scripted.script import Fault, Script
from inkernel.agent.scripted.server import ScriptedServer
from inkernel.agent.transport.client import Client

Make = Callable[..., Any]

SCRIPT = """
deviations = [{names}]
model = "m"
[[turn]]
[[turn.response]]
reasoning = "I look at the frame first."
say = "First — I look.\\nThen I compute."
[[turn.response.call]]
name = "inspect"
arguments = {{ names = ["weather"] }}
[[turn.response.call]]
name = "run_cell"
arguments = '{{"code": "é"}}'
[[turn.response]]
expect = "seen"
say = "It was April."
"""
SAID = [
    ("reasoning", "I look at the frame first."),
    ("message", "First — I look.\nThen I compute."),
    ("call", "inspect", {"names": ["weather"]}),
    ("call", "run_cell", {"code": "é"}),
]
LOSING = ("ignores_previous_response",)
REFUSING = ("refuses_previous_response", "transformers", "llamacpp")
ASK = b'{"type":"message","role":"user","content":"Which month?"}'
FIELDS = b'"model":"m","include":["reasoning.encrypted_content"]'


def target_of(server: ScriptedServer, **traits: bool) -> Target:
    return Target("scripted", server.base_url, "m", traits=Capabilities(**traits))


def told(item: Item) -> tuple[Any, ...]:
    match item:
        case Message():
            return "message", item.text
        case Reasoning():
            fields = json.loads(item.wire)
            parts = fields["summary"] or fields.get("content", [])
            return "reasoning", "".join(part["text"] for part in parts)
        case FunctionCall() | OtherCall():
            return "call", item.name, json.loads(item.arguments)
        case _:
            raise AssertionError(item)


def order(said: tuple[Any, ...]) -> str:
    return str(SAID.index(said))


async def sample(client: Client, items: bytearray) -> tuple[list[Item], str]:
    """Ask once, and keep what came as the history does: the items, and the text of the deltas."""
    parts = [part async for part in client.sample(Request.of(FIELDS, items))]
    assert isinstance(parts[-1], ResponseDone)
    came = [part for part in parts if isinstance(part, Item)]
    for item in came:
        items += b"," + item.wire
    return came, "".join(part.text for part in parts if isinstance(part, TextDelta))


async def converse(client: Client) -> list[list[tuple[Any, ...]]]:
    """What is said in two responses, the tool outputs between them."""
    items = bytearray(ASK)
    first, _ = await sample(client, items)
    for item in first:
        if isinstance(item, FunctionCall | OtherCall):
            items += b"," + output_of(item, [text_part("seen")]).wire
    second, _ = await sample(client, items)
    return [sorted(map(told, first), key=order), list(map(told, second))]


def script_of(*names: str) -> str:
    return SCRIPT.format(names=", ".join(json.dumps(name) for name in names))


@pytest.mark.parametrize("traits", [{}, {"websocket": True}, {"stores": True}], ids=str)
@pytest.mark.parametrize("name", ["plain", *OF_EVENTS, *OF_FRAMING, *OF_REQUESTS, *PROFILES])
async def test_a_deviation_changes_nothing_of_what_is_said(
    scripted: Make, client_for: Make, name: str, traits: dict[str, bool]
):
    if name in LOSING * bool(traits) + REFUSING * ("stores" in traits):
        pytest.skip("Nobody goes on from a response there.")
    server = scripted(script_of(*([] if name == "plain" else [name])))
    client = client_for(target_of(server, **traits), store=bool(traits))
    assert await converse(client) == [SAID, [("message", "It was April.")]]


@pytest.mark.parametrize("end", ["cr", "crlf"])
async def test_all_deviations_of_the_framing_at_once(scripted: Make, client_for: Make, end: str):
    server = scripted(script_of(*({*OF_FRAMING} - {"cr", "crlf"}), end))
    assert (await converse(client_for(target_of(server))))[0] == SAID


@pytest.mark.parametrize("name", sorted({*OF_EVENTS} - {"no_deltas", "snapshot_only"}))
async def test_the_text_streams_all_the_same(scripted: Make, client_for: Make, name: str):
    client = client_for(target_of(scripted(script_of(name))))
    _, text = await sample(client, bytearray(ASK))
    times = 2 if name == "repeated_messages" else 1
    assert text == str(SAID[1][1]) * times


FAULT = """
model = "m"
deviations = {names}
[[turn]]
[[turn.response]]
say = "One two."
fault = {fault}
"""


@pytest.mark.parametrize("traits", [{}, {"websocket": True}], ids=str)
@pytest.mark.parametrize("names", [[], ["flat_errors"], ["error_is_the_end"], [*OF_EVENTS][-12:]])
@pytest.mark.parametrize(
    ("code", "error"),
    [("server_error", ServerFaultError), ("context_length_exceeded", ContextLengthError)],
)
async def test_an_error_in_the_stream_is_that_error_in_either_shape(
    scripted: Make,
    client_for: Make,
    traits: dict[str, bool],
    names: list[str],
    code: str,
    error: type[ModelError],
):
    fault = f'{{ event = "error", code = "{code}", message = "It broke." }}'
    server = scripted(FAULT.format(names=json.dumps(names), fault=fault))
    with pytest.raises(error, match=r"It broke\."):
        await sample(client_for(target_of(server, **traits)), bytearray(ASK))


@pytest.mark.parametrize("name", ["incomplete_as_completed", "vllm"])
async def test_an_incomplete_response_called_completed_is_incomplete(
    scripted: Make, client_for: Make, name: str
):
    text = FAULT.format(names=f'["{name}"]', fault='{ event = "incomplete" }')
    with pytest.raises(IncompleteError):
        await sample(client_for(target_of(scripted(text))), bytearray(ASK))


@pytest.mark.parametrize("name", sorted({*OF_ERRORS} - {"error_plain_text"}))
async def test_an_error_body_of_any_shape_is_read(scripted: Make, client_for: Make, name: str):
    fault = '{ status = 400, message = "No such thing." }'
    server = scripted(FAULT.format(names=f'["{name}"]', fault=fault))
    with pytest.raises(RequestRefusedError, match="No such thing"):
        await sample(client_for(target_of(server)), bytearray(ASK))


async def test_an_error_of_plain_text_is_told_by_its_status(scripted: Make, client_for: Make):
    server = scripted(FAULT.format(names='["error_plain_text"]', fault="{ status = 500 }"))
    with pytest.raises(ServerFaultError, match="500"):
        await sample(client_for(target_of(server)), bytearray(ASK))


@pytest.mark.parametrize(
    ("name", "fields", "status"),
    [
        ("refuses_unknown_fields", {"prompt": {}}, 422),
        ("refuses_unknown_items", {"input": [{"type": "web_search_call"}]}, 400),
        ("refuses_other_models", {"model": "other"}, 404),
        ("refuses_formats", {"tools": [{"parameters": {"format": "date"}}]}, 400),
        ("refuses_previous_response", {"previous_response_id": "resp_x"}, 400),
        ("unknown_previous_response_404", {"previous_response_id": "resp_x"}, 404),
        ("ignores_unknown_previous_response", {"previous_response_id": "resp_x"}, 200),
        ("ignores_previous_response", {"previous_response_id": "resp_x"}, 200),
        ("streams_by_default", {}, 200),
    ],
)
def test_what_a_server_refuses_or_ignores(
    scripted: Make, name: str, fields: dict[str, Any], status: int
):
    server = scripted(script_of(name))
    body = {"model": "m", "input": "Hello", **fields}
    answer = httpx.post(f"{server.base_url}/responses", json=body)
    assert answer.status_code == status
    assert answer.text.startswith("event:") == (name == "streams_by_default")


def test_only_responses_means_no_other_route(scripted: Make):
    server = scripted(script_of("only_responses"))
    for path in ("responses/compact", "responses/input_tokens", "responses/resp_x/cancel"):
        assert httpx.post(f"{server.base_url}/{path}", json={"model": "m"}).status_code == 404
    assert httpx.get(f"{server.base_url}/models").status_code == 200


def plain_frames(**fault: Any) -> list[Frame]:
    script = Script.model_validate(tomllib.loads(script_of()))
    request = read_request({"model": "m", "input": "Hello"})
    position = find_position(script, request)
    return list(frames(script, position, request, 1_700_000_000, 0, Fault(**fault)))


@given(
    st.frozensets(st.sampled_from(sorted(OF_EVENTS))),
    st.sampled_from([None, "failed", "incomplete", "error"]),
    st.none() | st.integers(0, 40),
)
def test_any_deviations_together_give_events_and_change_nothing_given(
    names: frozenset[str], event: str | None, after: int | None
):
    given_frames = plain_frames(event=event, after=after)
    before = json.dumps(given_frames)
    for kind, data in deviate(given_frames, names):
        assert data["type"] == kind
    assert json.dumps(given_frames) == before


def test_every_deviation_is_documented():
    page = (Path(__file__).parents[3] / "docs/scripted-model.md").read_text(encoding="utf-8")
    assert [name for name in sorted(DEVIATION_NAMES) if f"| `{name}` |" not in page] == []
