"""The bench still runs, and what it counts holds: requests, bytes, prefixes; never a time."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench.page import gaps
from bench.tables import TABLES
from bench.wire.cases import QUICK
from bench.wire.figures import numbers

pytest.importorskip("orjson", reason="the bench's floor is made with it")

pytestmark = pytest.mark.timeout(600)  # it starts some thirty processes

ROOT = Path(__file__).parents[1]
STEPS = 40

Results = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def results() -> Results:
    """What a quick run without peers saw."""
    return seen("from bench.wire.figures import QUICK, run; found = run(QUICK)")


def seen(code: str) -> Results:
    """What code of the bench found, in a process of its own."""
    code = f"import json\n{code}\nprint(json.dumps(found))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def bodies(results: Results, transport: str) -> list[str]:
    return results[f"ours turn {transport} steps.{STEPS}.keep"][0]["bodies"]


def test_every_case_of_the_quick_bench_ran(results: Results):
    assert [key for key, runs in results.items() if not runs] == []


@pytest.mark.parametrize("transport", ["http", "websocket"])
def test_a_turn_asks_once_for_each_step_on_one_connection(results: Results, transport: str):
    run = results[f"ours turn {transport} steps.{STEPS}"][0]
    assert (run["status"], run["requests"], run["calls"]) == ("completed", STEPS, STEPS - 1)
    assert run["connections"] == 1


def test_over_a_websocket_a_request_costs_the_same_at_any_length_of_the_turn(results: Results):
    sizes = results[f"ours turn websocket steps.{STEPS}"][0]["sizes"]
    assert len(set(sizes[1:])) == 1


def test_over_a_websocket_each_request_follows_the_last_response(results: Results):
    first, *others = map(json.loads, bodies(results, "websocket"))
    assert "previous_response_id" not in first
    follows = [body.pop("previous_response_id") for body in others]
    assert follows == [f"resp_{number:05}" for number in range(1, STEPS)]
    assert all(
        [item["type"] for item in body.pop("input")] == ["function_call_output"] for body in others
    )
    first.pop("input")
    assert all(body == first for body in others)


def test_over_http_each_request_begins_with_the_whole_of_the_last(results: Results):
    sent = bodies(results, "http")
    for last, body in pairwise(sent):
        assert last.endswith("]}") and body.startswith(last[:-2])


@pytest.mark.parametrize("transport", ["http", "websocket"])
def test_nothing_is_run_twice_when_a_connection_is_lost(results: Results, transport: str):
    for how, asked in (("drop", 21), ("cut", 20)):
        for run in results[f"ours turn {transport} steps.20.{how}.5"]:
            assert (run["status"], run["requests"]) == ("completed", asked)
            assert (run["calls"], run["calls run twice"]) == (19, 0)


def test_the_figures_of_the_pages_are_there_but_for_the_peers(results: Results):
    found = {"wire": {"figures": numbers(results, QUICK)}}
    assert [words for words in gaps(TABLES, found) if "openai" not in words] == []


@pytest.mark.parametrize("transport", ["http", "websocket"])
def test_the_bench_sends_the_instructions_tools_and_context_of_a_kernel(
    results: Results, transport: str
):
    """The figures were once of four tools, where a kernel has eleven."""
    case = f"Case('kernel', '{transport}', 'steps.3.keep', 'live', rounds=1)"
    kernel = seen(
        "from bench.wire.measure import Case, measure_cases, serving\n"
        f"with serving() as bench:\n    found = measure_cases(bench, [{case}])\n"
    )[f"kernel live {transport} steps.3.keep"][0]["bodies"]
    ours, theirs = (json.loads(found[0]) for found in (bodies(results, transport), kernel))
    assert len(kernel) == 3 and len(theirs["tools"]) > 9
    assert ours.pop("prompt_cache_key") != theirs.pop("prompt_cache_key")
    assert ours == theirs
