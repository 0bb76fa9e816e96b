"""The request: the same head for the same session, and every byte of it seen in a golden file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.config.settings import Settings
from inkernel.agent.context.changes import Environment, Snapshot
from inkernel.agent.context.instructions import instructions, make_fields
from inkernel.agent.dialects.request import Request
from inkernel.agent.protocol.verbatim_json import dumps
from inkernel.agent.providers.resolve import Target
from inkernel.agent.session import Prompt, Session
from inkernel.agent.testing import play, repeat_code
from inkernel.agent.tools.run_cell import run_cell_tool

GOLDEN = Path(__file__).parents[1] / "golden" / "request.json"
OPENAI = Target("openai", "https://api.openai.com/v1", "gpt-5.5", "sk-secret", "OPENAI_API_KEY")
NOWHERE: Any = None  # no run is kept here
TOOL = run_cell_tool(repeat_code(), 1000, NOWHERE)


def head_of(target: Target = OPENAI, **choices: Any) -> dict[str, Any]:
    fields = make_fields(target, Settings(**choices), [TOOL], "s")
    return json.loads(Request.of(fields, bytearray()).wire(b""))


def test_a_fresh_request_is_the_golden_one(session_for: Callable[..., Session], place: Environment):
    session = session_for(play([]), TOOL, target=OPENAI)
    session.begin(
        Prompt("How much rain fell?", Snapshot(place), attached=("<variable>weather</variable>",))
    )
    body = Request.of(session.fields(), session.conversation.history.wire).wire(b'"stream":true,')
    request = json.loads(body)
    assert dumps(request) == body
    request["instructions"] = "(prompts/agent.md)"
    assert json.dumps(request, indent=2) + "\n" == GOLDEN.read_text(encoding="utf-8")


def test_the_same_session_has_the_same_head():
    heads = {make_fields(OPENAI, Settings(), [TOOL], "s") for _ in range(3)}
    again = run_cell_tool(repeat_code(), 99, NOWHERE)
    assert heads == {make_fields(OPENAI, Settings(), [again], "s")}


def test_nothing_follows_the_items():
    assert list(head_of())[-1] == "input"


def test_the_key_is_not_in_the_request():
    assert b"sk-secret" not in make_fields(OPENAI, Settings(), [TOOL], "s")
    assert "sk-secret" not in repr(OPENAI)


@pytest.mark.parametrize(
    ("choices", "reasoning"),
    [
        ({}, {"summary": "auto"}),
        ({"effort": "high"}, {"effort": "high", "summary": "auto"}),
        ({"effort": "high", "summary": "none"}, {"effort": "high"}),
        ({"summary": "none"}, None),
    ],
)
def test_reasoning_is_asked_for_as_chosen(
    choices: dict[str, Any], reasoning: dict[str, str] | None
):
    head = head_of(**choices)
    assert head.get("reasoning") == reasoning
    assert head.get("include") == (["reasoning.encrypted_content"] if reasoning else None)


def test_a_model_that_does_not_reason_is_not_asked_to():
    silent = Target("openai", "https://api.openai.com/v1", "gpt-4.1", reasons=False)
    assert not {"reasoning", "include"} & set(head_of(silent, effort="high"))


def test_the_instructions_are_the_prompt_file():
    assert instructions() == head_of()["instructions"]
    assert instructions().startswith("You are inkernel")
