"""Each deviation the scripted server can play is seen here, unless the protocol allows it."""

import httpx
import pytest
from pydantic import ValidationError

from inkernel.agent.scripted.deviations import OF_EVENTS
from inkernel.agent.scripted.profiles import OF_FRAMING
from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer

from .checked import streamed
from .playing import TOOL

ALLOWED = {
    "queued_first",
    "interleaved",
    "late_done",
    "long_response_ids",
    "chatcmpl_call_ids",
    "ids_without_prefix",
    "no_phase",
    "no_model",
    "reasoning_delta",
    "empty_encrypted_content",
    "null_usage",
    "no_logprobs",
    "in_one_go",
    "byte_by_byte",
}
"""Other than what clients are used to, but nothing forbids it."""
NAMES = sorted({*OF_EVENTS, *OF_FRAMING} - {"hosted_tools_dropped"})
RESPONSE = {
    "reasoning": "I look first.",
    "say": "One two three.",
    "call": [{"name": "look", "arguments": {"at": 1}}, {"name": "run"}],
}
ENDS = {"whole": None, "short": "incomplete", "broken": "error"}
TURNS = [
    {"on": name, "response": [{**RESPONSE, "fault": {"event": event}}]}
    for name, event in ENDS.items()
]


def keeps_the_protocol(*deviations: str) -> bool:
    """Whether streams of every end, by a server with these deviations, pass every check."""
    script = Script.model_validate({"deviations": deviations, "turn": TURNS})
    with ScriptedServer(script) as server, httpx.Client(base_url=server.base_url) as client:
        try:
            for name in ENDS:
                tools = [TOOL | {"name": "look"}]
                streamed(client, {"model": "m", "input": name, "tools": tools})
        except (AssertionError, ValidationError, KeyError):
            return False
    return True


def test_without_deviations_the_protocol_is_kept():
    assert keeps_the_protocol()


@pytest.mark.parametrize("name", NAMES)
def test_a_deviation_is_seen_unless_it_is_allowed(name: str):
    assert keeps_the_protocol(name) == (name in ALLOWED)
