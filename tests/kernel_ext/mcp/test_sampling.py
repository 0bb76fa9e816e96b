"""A server asks the model during a call, in a real kernel."""

import json
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.kernel_ext.mcp.turns import bodies, call_of, code, script, table

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp"),
]
ASKING = table("asking", Path(__file__).with_name("asking.py"))
ALLOWED = f"{ASKING}sampling = true\n"
call = partial(call_of, "asking")
VERSE = """
[[turn]]
on = "A verse about rain."
[[turn.response]]
say = "Drop by drop."
"""
SING = script(("go", [call("sing", about="rain")])) + VERSE
Start = Callable[..., Any]


def told(server: Any) -> str:
    """The outputs that the model read, of its last request with tools."""
    items = [it for it in bodies(server) if it.get("tools")][-1]["input"]
    return json.dumps([it for it in items if it["type"] == "function_call_output"])


def asides(server: Any) -> list[dict[str, Any]]:
    return [it for it in bodies(server) if not it.get("tools")]


def answered(kernel: Any, *answers: str) -> tuple[Any, list[str]]:
    cell, questions = kernel.start("%%agent\ngo", allow_stdin=True), []
    for text in answers:
        questions.append(kernel.wait_for_question())
        kernel.client.input(text)
    return kernel.finish(cell), questions


def test_the_model_answers_a_server_after_a_yes_in_a_request_of_its_own(serving: Start):
    kernel, server = serving(SING, ALLOWED, INKERNEL_POLICY="ask")
    ran, questions = answered(kernel, "y", "y")
    assert ran.status == "ok", ran.traceback
    assert questions[1].startswith("The server asking asks your model")
    assert "of rain: Drop by drop." in told(server)
    (aside,) = asides(server)
    assert aside["instructions"] == "Be brief." and aside["max_output_tokens"] == 1_024
    assert len(aside["input"]) == 1 and "A verse about rain." in json.dumps(aside["input"])


def test_a_no_is_said_to_the_server_and_nothing_is_asked(serving: Start):
    kernel, server = serving(SING, ALLOWED, INKERNEL_POLICY="ask")
    answered(kernel, "y", "n")
    assert "did not allow to ask the model" in told(server) and not asides(server)


def test_without_the_setting_nobody_is_asked(serving: Start):
    kernel, server = serving(SING, ASKING)
    assert kernel.run("%%agent\ngo").status == "ok"
    assert "sampling" in told(server) and not asides(server)


def test_a_rule_lets_a_server_ask_and_its_tokens_count_to_the_turn(serving: Start):
    rule = '[[rules]]\ndecision = "allow"\ntool = "sampling of the server asking"\n'
    steps = [code("sung = await agent_tools.asking.sing(about='rain')")]
    asked = script(("go", steps)) + VERSE
    tables = f'{rule}[[rules]]\ndecision = "allow"\nserver = "asking"\n{ALLOWED}'
    kernel, server = serving(asked, tables, INKERNEL_POLICY="auto")
    ran = kernel.run("%%agent\ngo")
    assert ran.status == "ok" and kernel.run("sung").text == "'of rain: Drop by drop.'"
    assert len(asides(server)) == 1
    lines = [json.loads(it) for it in _record(kernel).read_text().splitlines()]
    (aside,) = (it for it in lines if it["kind"] == "aside")
    samples = [it["usage"] for it in lines if it["kind"] == "sample"]
    (ended,) = (it for it in lines if it["kind"] == "ended")
    assert aside["server"] == "asking" and aside["usage"]["output"] > 0
    sums = sum(it["output"] for it in samples) + aside["usage"]["output"]
    assert ended["usage"]["output"] == sums


def _record(kernel: Any) -> Path:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        text = kernel.run("%agent").text
        for word in text.split():
            if word.endswith(".jsonl"):
                return Path(word).expanduser()
    raise AssertionError(text)
