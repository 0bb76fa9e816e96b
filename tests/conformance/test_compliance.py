"""The 17 cases of the Open Responses compliance suite, `cases.json`, against the scripted server.

The suite asks for less: here events are in order, too, and no object has a field too many.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import reduce
from pathlib import Path
from typing import Any

import httpx
import pytest

from inkernel.agent.scripted.script import load_script
from inkernel.agent.scripted.server import ScriptedServer

from .checked import connect, exchanged, posted, streamed
from .order import Event

HERE = Path(__file__).parent
CASES: dict[str, list[Event]] = json.loads((HERE / "cases.json").read_bytes())["cases"]
KEY = "sk-suite"


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with ScriptedServer(load_script(HERE / "suite.toml"), KEY) as server:
        yield server.base_url


def test_there_are_seventeen_cases():
    assert len(CASES) == 17


@pytest.mark.parametrize("name", CASES)
def test_a_case_of_the_suite_passes(base_url: str, name: str):
    answers: list[Event] = []
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=base_url, headers=headers) as client, ExitStack() as connection:
        socket: Any = None
        for step in CASES[name]:
            if step.get("over") == "websocket" and (socket is None or step.get("reconnect")):
                connection.close()
                socket = connection.enter_context(connect(base_url, KEY))
            body = filled(step["send"], answers)
            answers.append(answer(step, body, client, socket))
            seen = summary(answers[-1])
            expected = {key: value for key, value in step["expect"].items() if key != "http"}
            assert {key: seen.get(key) for key in expected} == expected


def answer(step: Event, body: Event, client: httpx.Client, socket: Any) -> Event:
    """What a step is answered: a resource, or what holds an error."""
    if step.get("over") == "sse":
        return streamed(client, body)[-1]["response"]
    if step.get("over") == "websocket":
        last = exchanged(socket, body)[-1]
        return last.get("response", last)
    return posted(client, body, step.get("path", "/responses"), step["expect"].get("http", 200))


def summary(given: Event) -> Event:
    """What an `expect` may speak of."""
    items = given.get("output", [])
    kinds = [item["type"] for item in items]
    return {
        "status": given.get("status"),
        "object": given.get("object"),
        "error": (given.get("error") or {}).get("code"),
        "failed": bool(given.get("error")),
        "items": kinds,
        "last": kinds[-1] if kinds else None,
        "phases": [item["phase"] for item in items if "phase" in item],
    }


def filled(value: Any, answers: list[Event]) -> Any:
    """A body, its `$` texts replaced by what they stand for."""
    if isinstance(value, dict):
        return {key: filled(inner, answers) for key, inner in value.items()}
    if isinstance(value, list):
        found = [filled(inner, answers) for inner in value]
        return [x for inner in found for x in (inner if isinstance(inner, list) else [inner])]
    if isinstance(value, str) and value.startswith("$"):
        return reduce(_at, value[1:].split("."), answers)
    return value


def _at(found: Any, key: str) -> Any:
    return found[int(key) if isinstance(found, list) else key]
