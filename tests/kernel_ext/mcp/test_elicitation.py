"""Servers ask the person during a call: in a real kernel, over pipes and HTTP."""

import secrets
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.kernel_ext.mcp.turns import call_of, code, outputs, over_http, script, table

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp"),
]
ASKING = Path(__file__).with_name("asking.py")
PIPES = table("asking", ASKING)
LEGACY = f'{PIPES}mode = "legacy"\n'
call = partial(call_of, "asking")
Start = Callable[..., Any]


@pytest.fixture
def http() -> Iterator[str]:
    """The table of a server over HTTP that wants a token."""
    token = secrets.token_hex(16)
    with over_http(ASKING, token) as url:
        headers = f'headers = {{ Authorization = "Bearer {token}" }}'
        yield f'[mcp.asking]\nurl = "{url}"\n{headers}\n'


def answered(kernel: Any, *answers: str, **how: Any) -> tuple[Any, list[str]]:
    """The run of a turn, and the questions that these answers were given to."""
    cell, questions = kernel.start("%%agent\ngo", allow_stdin=True), []
    for text in answers:
        questions.append(kernel.wait_for_question())
        time.sleep(how.get("late", 0))
        kernel.client.input(text)
    return kernel.finish(cell), questions


@pytest.mark.parametrize("servers", ["pipes", "legacy", "http"])
def test_a_form_comes_filled_with_its_defaults_and_goes_as_the_person_fills_it(
    serving: Start, servers: str, request: pytest.FixtureRequest
):
    tables = {"pipes": PIPES, "legacy": LEGACY}
    found = tables[servers] if servers in tables else request.getfixturevalue("http")
    kernel, server = serving(script(("go", [call("plan")])), found)
    filling = ("f", "Ulm", "20", "2", "no", "swim", "y")
    ran, questions = answered(kernel, "y", *filling)
    assert ran.status == "ok", ran.traceback
    first, again, town, days, few, *_, whole = questions
    assert first.startswith("The server asking asks you:\n  │ Where do you go?\n  │ Say it soon.")
    assert "Days (whole number; from 1; up to 14; may be left out) = 3" in first
    assert "[y]" not in first and "It is not sent: Town must be filled in." in again
    assert town.startswith("Town (text; at least 2 characters): where to: ")
    assert (days.endswith("[3]: ") and "less than or equal to 14" in few) or "maximum" in few
    assert "= Ulm" in whole and "= swim" in whole and "[y] send this" in whole
    values = "{'town': 'Ulm', 'days': 2, 'train': False, 'kind': 'swim'}"
    assert f"accept: {values}" in outputs(server)[0]
    assert ran.cleared  # the questions are gone


def test_code_waits_for_the_answer_too_and_gets_the_value(serving: Start):
    kernel, _server = serving(
        script(("go", [code("told = await agent_tools.asking.plan()")])), PIPES
    )
    ran, _ = answered(kernel, "n")
    assert ran.status == "ok" and kernel.run("told").text == "'decline: nothing'"


def test_nobody_is_asked_where_nobody_can_answer(serving: Start):
    kernel, server = serving(script(("go", [call("plan")])), PIPES)
    assert kernel.run("%%agent\ngo").status == "ok"  # this cell allows no input
    assert "decline: nothing" in outputs(server)[0]


@pytest.mark.parametrize("of_code", [False, True], ids=["model", "code"])
def test_stop_ends_the_turn_and_the_call(serving: Start, of_code: bool):
    step = code("await agent_tools.asking.plan()") if of_code else call("plan")
    kernel, server = serving(script(("go", [step])), PIPES)
    ran, _ = answered(kernel, "s")
    assert ran.ename == "TurnInterrupted" and len(server.requests) == 1


def test_the_time_of_a_call_stops_while_the_person_is_asked(serving: Start):
    kernel, server = serving(script(("go", [call("plan")])), f"{LEGACY}tool_timeout = 4\n")
    answered(kernel, "n", late=6)
    assert "decline: nothing" in outputs(server)[0]


def test_a_page_is_named_by_its_host_and_needs_https(serving: Start):
    urls = ("https://sign.example.org/p?q=1", "https://sign.example.org/p", "http://example.org/p")
    steps = [call("visit", url=it) for it in urls]
    kernel, server = serving(script(("go", steps)), LEGACY)
    _, questions = answered(kernel, "d", "n")
    assert "on a page of sign.example.org:\n  https://sign.example.org/p?q=1" in questions[0]
    told = outputs(server)
    assert "accept" in told[0] and "decline" in told[1] and "decline" in told[2]


def test_a_page_that_a_call_needs_first_is_asked_for_and_the_call_goes_again(serving: Start):
    urls = ("https://sign.example.org/1", "https://sign.example.org/2")
    kernel, server = serving(script(("go", [call("sign", url=it) for it in urls])), LEGACY)
    _, questions = answered(kernel, "d", "n")
    assert all("Sign first." in it for it in questions)
    signed, refused = outputs(server)
    assert "signed" in signed and "refused" in refused


def test_a_server_that_cannot_ask_in_this_version_is_told_how(serving: Start):
    kernel, server = serving(script(("go", [call("visit", url="https://example.org")])), PIPES)
    assert kernel.run("%%agent\ngo").status == "ok"
    assert 'mode = \\"legacy\\"' in outputs(server)[0] or 'mode = "legacy"' in outputs(server)[0]


def test_code_that_replaces_input_does_not_answer(serving: Start):
    forged = "import builtins; builtins.input = lambda *_: 'y'; told = 1"
    steps = [code(forged), code("told = await agent_tools.asking.plan()")]
    kernel, _server = serving(script(("go", steps)), PIPES)
    _, questions = answered(kernel, "n")
    assert len(questions) == 1 and kernel.run("told").text == "'decline: nothing'"
