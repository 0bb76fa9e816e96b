"""The order checker finds what is broken: a good stream, and every way here to break it."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer

from .order import Event, read_frames, violations

CAPTURES = Path(__file__).parents[1] / "agent" / "dialects" / "captures"
RESPONSE = {
    "reasoning": "I look first.",
    "say": "One two three.",
    "call": [{"name": "look", "arguments": {"at": 1}}, {"name": "run"}],
}


def body_of(*deviations: str, **response: Any) -> bytes:
    """The SSE body of one scripted response."""
    script = {"deviations": deviations, "turn": [{"response": [{**RESPONSE, **response}]}]}
    with ScriptedServer(Script.model_validate(script)) as server:
        asked = {"model": "m", "input": "Go.", "stream": True}
        return httpx.post(f"{server.base_url}/responses", json=asked).content


@pytest.fixture(scope="module")
def body() -> bytes:
    return body_of()


@pytest.fixture
def events(body: bytes) -> list[Event]:
    return read_frames(body)[0]


def renumbered(events: list[Event]) -> list[Event]:
    """The events as if the server had sent them so: only what they say can tell."""
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def test_a_good_stream_breaks_nothing(body: bytes, events: list[Event]):
    assert read_frames(body)[1] == violations(events) == []


@pytest.mark.parametrize("after", range(1, 12))
@pytest.mark.parametrize("end", ["failed", "incomplete", "error"])
def test_a_response_that_ends_early_breaks_nothing(end: str, after: int):
    events, misframed = read_frames(body_of(fault={"event": end, "after": after}))
    assert misframed + violations(events) == []


def test_one_event_less_is_found_wherever_it_is(events: list[Event]):
    for at in range(len(events)):
        assert violations(renumbered(events[:at] + events[at + 1 :])), events[at]


def test_one_event_twice_is_found_wherever_it_is(events: list[Event]):
    for at in range(len(events)):
        assert violations(renumbered(events[: at + 1] + events[at:])), events[at]


def test_two_events_the_wrong_way_round_are_found_wherever_they_are(events: list[Event]):
    for at in range(len(events) - 1):
        first, second = events[at : at + 2]
        if {first["type"], second["type"]} == {
            "response.output_item.done",
            "response.output_item.added",
        }:
            continue  # items may interleave
        swapped = [*events[:at], second, first, *events[at + 2 :]]
        assert violations(renumbered(swapped)), (first, second)


@pytest.mark.parametrize(
    "form", ["interleaved", "late_done", "queued_first", "reasoning_text", "reasoning_delta"]
)
def test_other_forms_that_are_allowed_break_nothing(form: str):
    assert violations(read_frames(body_of(form))[0]) == []


def test_a_refusal_is_read_as_text_is(events: list[Event]):
    def refuse(fields: Event) -> Event:
        if "text" in fields and "refusal" in fields.get("type", ""):
            fields["refusal"] = fields.pop("text")
        return fields

    text = json.dumps(events).replace("output_text", "refusal")
    refused = json.loads(text, object_hook=refuse)
    assert violations(refused) == []
    at("refusal.delta", "delta", value="No.")(refused)
    assert any("add up to 'No.two" in what for what in violations(refused))


def test_a_sequence_number_that_does_not_rise_by_one_is_found(events: list[Event]):
    for broken in (
        events[1:],
        [*events[:5], *events[6:]],
        [{**e, "sequence_number": 0} for e in events],
    ):
        assert any("sequence_number" in what for what in violations(broken))


def at(kind: str, *path: str | int, value: Any, nth: int = 0) -> Callable[[list[Event]], None]:
    """Puts `value` at `path` in the event number `nth` of a kind."""

    def change(events: list[Event]) -> None:
        found: Any = [e for e in events if e["type"] == f"response.{kind}"][nth]
        for key in path[:-1]:
            found = found[key]
        found[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (at("created", "response", "status", value="completed"), "status is 'completed'"),
        (at("in_progress", "response", "status", value="queued"), "status is 'queued'"),
        (at("in_progress", "response", "id", value="other"), "id differs"),
        (at("completed", "response", "id", value="other"), "id differs"),
        (at("completed", "response", "model", value="other"), "model differs"),
        (at("completed", "response", "status", value="failed"), "status is 'failed'"),
        (at("completed", "response", "output", value=[]), "not the items that were done"),
        (at("completed", "response", "output", 1, "id", value="x"), "not the items that were"),
        (at("completed", "response", "error", value={"code": "x"}), "error is"),
        (at("in_progress", "response", "usage", value={"input_tokens": 1}), "before the end"),
        (at("output_item.added", "output_index", value=7), "output_index is 7, not 0"),
        (at("output_item.added", "item", "id", value="x"), "item_id is"),
        (at("output_item.added", "item", "status", value="completed", nth=1), "when added"),
        (at("output_item.added", "item", "arguments", value="{}", nth=2), "not empty"),
        (at("output_item.added", "item", "name", value="x", nth=2), "name was 'x'"),
        (at("output_item.added", "item", "call_id", value="x", nth=2), "call_id was 'x'"),
        (at("content_part.added", "content_index", value=1), "index is 1, not 0"),
        (at("content_part.added", "part", "text", value="One"), "not empty"),
        (at("reasoning_summary_part.added", "summary_index", value=1), "index is 1, not 0"),
        (at("output_text.delta", "item_id", value="x"), "item_id is 'x'"),
        (at("output_text.delta", "output_index", value=0), "no item is open at 0"),
        (at("output_text.delta", "content_index", value=3), "no such part is open"),
        (at("output_text.delta", "delta", value="One"), "add up to 'Onetwo"),
        (at("output_text.done", "text", value="One"), "add up to 'One two"),
        (at("content_part.done", "part", "text", value="One"), "not what its deltas"),
        (at("reasoning_summary_text.done", "text", value=""), "add up to 'I look"),
        (at("function_call_arguments.done", "arguments", value=""), "add up to '{"),
        (at("output_item.done", "item", "summary", value=[]), "summary is not the parts"),
        (at("output_item.done", "item", "content", value=[], nth=1), "content is not the parts"),
        (at("output_item.done", "item", "arguments", value="", nth=2), "arguments is not what"),
        (at("output_item.done", "item", "status", value="in_progress", nth=2), "in progress"),
    ],
)  # fmt: skip
def test_an_event_that_does_not_agree_with_the_others_is_found(
    events: list[Event], change: Callable[[list[Event]], None], told: str
):
    broken = copy.deepcopy(events)
    change(broken)
    assert any(told in what for what in violations(broken)), violations(broken)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (rb"data: \[DONE\]\n\n$", b"", "not [DONE]"),
        (rb"\n\n$", b"\n", "not whole"),
        (rb"^event: response.created", b"event: response.queued", "is named response.queued"),
        (rb"^event: response.created\n", b"", "frame 0 is not one event line"),
        (rb"^event:", b"id: 1\nevent:", "frame 0 is not one event line"),
        (rb"^", b": hello\n\n", "frame 0 is not one event line"),
    ],
)
def test_broken_framing_is_found(body: bytes, old: bytes, new: bytes, told: str):
    assert any(told in what for what in read_frames(re.sub(old, new, body))[1])


def test_an_incomplete_item_in_a_completed_response_is_found(events: list[Event]):
    broken = copy.deepcopy(events)
    at("output_item.done", "item", "status", value="incomplete", nth=2)(broken)
    at("completed", "response", "output", 2, "status", value="incomplete")(broken)
    (found,) = violations(broken)
    assert "an incomplete item is not the last of an incomplete response" in found


def test_two_items_of_one_id_are_found(events: list[Event]):
    first, second = (item["id"] for item in events[-1]["response"]["output"][2:])
    broken = json.loads(json.dumps(events).replace(second, first))
    (found,) = violations(broken)
    assert "another item has its id" in found


def test_an_item_that_was_cut_and_is_completed_in_the_end_is_found():
    events = read_frames(body_of(fault={"event": "failed", "after": 5}))[0]
    events[-1]["response"]["output"].append({**events[2]["item"], "status": "completed"})
    (found,) = violations(events)
    assert "an item is completed that was never done" in found


def test_what_comes_after_an_error_is_found():
    events = read_frames(body_of(fault={"event": "error", "after": 5}))[0]
    broken = [*events[:4], events[5], events[4], events[6]]
    assert violations(events) == []
    assert any("after an error" in what for what in violations(renumbered(broken)))


def captured(name: str) -> list[str]:
    """What a real server's stream breaks, its framing left aside."""
    lines = (CAPTURES / name).read_text(encoding="utf-8").splitlines()
    return violations([json.loads(line[6:]) for line in lines if line.startswith("data: {")])


@pytest.mark.parametrize("kind", ["text", "tool", "text-then-tool", "two-tools", "reasoning"])
def test_a_real_server_that_keeps_the_order_breaks_nothing(kind: str):
    assert captured(f"vllm-{kind}.sse") == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("vllm-incomplete", "response.completed: the status is 'incomplete'"),
        ("transformers-reasoning", "reasoning_text.delta: no such part is open"),
        ("transformers-two-tools", "output_index is 1, not 0"),
        ("transformers-tool", "the item is completed when added"),
        ("litellm-bridge-text", "sequence_number is None, not 0"),
        ("litellm-native-over-transformers-failed", "response.created did not come"),
    ],
)
def test_what_real_servers_do_otherwise_is_found(name: str, told: str):
    assert any(told in what for what in captured(f"{name}.sse"))
