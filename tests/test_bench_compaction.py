"""The bench of compaction still runs, and what it counts holds; never a time."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.compaction.figures import figures_of
from bench.page import gaps
from bench.tables import TABLES

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What a quick run saw."""
    code = "import json; from bench.compaction.figures import run; print(json.dumps(run(True)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_figures_of_the_page_are_there(found: dict[str, Any]):
    assert gaps(TABLES, {"compaction": {"figures": figures_of(found)}}) == []


def test_every_planted_fact_can_be_brought_back(found: dict[str, Any]):
    lost = [it["text"] for it in found["needles"]["needles"] if it["by_query"]["tokens"] is None]
    assert found["needles"]["cells"] == 500 and lost == []


def test_the_digest_answers_what_is_to_be_done_and_what_was_decided(found: dict[str, Any]):
    kinds = ("task", "decision of the person", "decision of the model", "open plan item")
    facts = [it for it in found["needles"]["needles"] if it["kind"] in kinds]
    assert facts and all(it["whole"]["ours"] for it in facts)


def test_the_task_and_the_rules_are_left_after_every_turn_whatever_becomes_of_notes(
    found: dict[str, Any],
):
    runs = found["memory"]["runs"]
    assert len(runs) == 16 and sum(run["compactions"] > 0 for run in runs) == 12
    assert {run["binding"] for run in runs} == {1.0}
    assert all(run["largest request"] <= run["window"] for run in runs)


def test_what_was_superseded_is_not_presented_as_current(found: dict[str, Any]):
    old = [it for it in found["needles"]["needles"] if it["kind"] == "value of a superseded run"]
    assert old and not any(it["current"]["ours"] for it in old)


def test_every_request_fits_the_window(found: dict[str, Any]):
    for part in ("needles", "growth"):
        assert found[part]["largest request"] <= found[part]["window"]
    assert found["growth"]["compactions"]


def test_the_cache_breaks_for_nothing_but_compactions(found: dict[str, Any]):
    for way in found["cache"]:
        assert way["compactions"] and way["ratio"] <= 1.05, way
