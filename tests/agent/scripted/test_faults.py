"""Every fault a script can ask for, played to the real client: the error that it is."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent import errors
from inkernel.agent.dialects.dialect import ResponseDone
from inkernel.agent.dialects.request import Request
from inkernel.agent.protocol.items import Message
from inkernel.agent.providers.catalog import Capabilities
from inkernel.agent.providers.resolve import Target
from inkernel.agent.scripted.script import Fault

Make = Callable[..., Any]

PAGE = Path(__file__).parents[3] / "docs/scripted-model.md"
FAULTS = {
    "too many requests": errors.RateLimitError,
    "no quota": errors.QuotaError,
    "overloaded": errors.ServerFaultError,
    "the context is too long": errors.ContextLengthError,
    "the same, llama.cpp": errors.ContextLengthError,
    "the same, in words only": errors.ContextLengthError,
    "a proxy's page": errors.ServerFaultError,
    "the answer is cut off": errors.IncompleteError,
    "a content filter": errors.AnswerRefusedError,
    "the stream drops": errors.StreamBrokenError,
    "the stream falls silent": errors.StreamBrokenError,
    "a WebSocket drops": errors.StreamBrokenError,
}
MORE = {
    "{ stall = 600 }": errors.StreamBrokenError,
    "{ first = 600 }": errors.StreamBrokenError,
    "{ after = 0 }": errors.StreamBrokenError,
    "{ after = 2, stall = 0.01 }": errors.StreamBrokenError,
    '{ event = "failed", code = "insufficient_quota" }': errors.QuotaError,
    '{ event = "error", after = 4 }': errors.ServerFaultError,
    '{ status = 409, code = "conflict" }': errors.ServerFaultError,
    "{ status = 422 }": errors.RequestRefusedError,
    "{ status = 403 }": errors.AuthError,
    "{ status = 500 }": errors.ServerFaultError,
}


def documented() -> dict[str, list[str]]:
    """The faults in the page's table of common ones, by what they are."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|`]+) \| (`\{.*`) \|$", text, re.MULTILINE)
    return {what: re.findall(r"`(\{.*?\})`", faults) for what, faults in rows}


def script(fault: str) -> str:
    return f'model = "m"\n[[turn]]\n[[turn.response]]\nsay = "One two three."\nfault = {fault}\n'


CASES = [
    *((fault, error) for what, error in FAULTS.items() for fault in documented()[what]),
    *MORE.items(),
]


@pytest.mark.parametrize("over", ["http", "websocket"])
@pytest.mark.parametrize(("fault", "error"), CASES)
async def test_a_fault_is_its_error(
    scripted: Make, client_for: Make, fault: str, error: type[Exception], over: str
):
    if ("body" if over == "websocket" else "close") in fault:
        pytest.skip("It is the other transport's.")
    server = scripted(script(fault))
    traits = Capabilities(websocket=over == "websocket")
    target = Target("scripted", server.base_url, "m", traits=traits)
    client = client_for(target, connect_timeout=2, first_event_timeout=0.3, idle_timeout=0.3)
    request = Request.of(b'"model":"m"', bytearray(b'{"role":"user","content":"Hello"}'))
    with pytest.raises(error):
        async for _ in client.sample(request):
            pass


@pytest.mark.parametrize("after", ["", ", after = 0", ", after = 3"])
@pytest.mark.parametrize("over", ["http", "websocket"])
async def test_an_event_that_is_no_json_costs_no_answer(
    scripted: Make, client_for: Make, over: str, after: str
):
    server = scripted(script(f'{{ event = "malformed"{after} }}'))
    target = Target("scripted", server.base_url, "m", traits=Capabilities(websocket=over != "http"))
    request = Request.of(b'"model":"m"', bytearray(b'{"role":"user","content":"Hello"}'))
    parts = [part async for part in client_for(target).sample(request)]
    assert [part.text for part in parts if isinstance(part, Message)] == ["One two three."]
    assert isinstance(parts[-1], ResponseDone)


def test_every_documented_fault_is_one():
    assert documented().keys() > FAULTS.keys()
    for faults in documented().values():
        for fault in faults:
            Fault.model_validate(tomllib.loads(f"fault = {fault}")["fault"])


async def test_a_fault_of_the_other_transport_is_none(scripted: Make, client_for: Make):
    server = scripted(script('{ status = 500, over = "websocket" }'))
    target = Target("scripted", server.base_url, "m")
    request = Request.of(b'"model":"m"', bytearray(b'{"role":"user","content":"Hello"}'))
    parts = [part async for part in client_for(target).sample(request)]
    assert isinstance(parts[-1], ResponseDone)


async def test_a_websocket_that_reached_its_limit_is_opened_anew(scripted: Make, client_for: Make):
    fault = '{ status = 400, code = "websocket_connection_limit_reached", close = 1000, times = 1 }'
    server = scripted(script(fault))
    target = Target("scripted", server.base_url, "m", traits=Capabilities(websocket=True))
    client = client_for(target)
    request = Request.of(b'"model":"m"', bytearray(b'{"role":"user","content":"Hello"}'))
    try:
        parts = [part async for part in client.sample(request)]
    except errors.ModelError as error:
        assert error.retryable
        parts = [part async for part in client.sample(request)]
    assert isinstance(parts[-1], ResponseDone)
    assert [json.loads(sent)["type"] for sent in server.requests] == ["response.create"] * 2
