"""The files of a project in a real kernel: found by the model, and by code in one step."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agent.tools.files.documents import MAKERS, marker

pytestmark = pytest.mark.kernel

CODE = """
import pandas
hits = await agent_tools.search_files(queries=["weather of towns"], limit=20, path="rain.pdf")
hits += await agent_tools.search_files(queries=["marker of this page"], limit=20, path="rain.pdf")
frame = pandas.DataFrame(hits)
page = (await agent_tools.read_file(path="rain.pdf", place="page 2"))[0]["text"]
"""
SCRIPT = f"""
model = "scripted/test"
[[turn]]
[[turn.response]]
[[turn.response.call]]
name = "search_files"
arguments = {{ queries = ["{marker(40)}"] }}
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
arguments = {{ title = "Hits", code = {json.dumps(CODE)} }}
[[turn.response]]
[[turn.response.call]]
name = "read_file"
arguments = {{ path = "/etc/hostname" }}
[[turn.response]]
say = "It is on [rain.pdf, page 40]."
"""


def test_forty_hits_become_a_frame_in_one_step(agent: Callable[..., Any], tmp_path: Path):
    MAKERS["rain.pdf"](tmp_path / "rain.pdf")
    kernel, server = agent(XDG_CACHE_HOME=str(tmp_path / "cache"))
    ran = kernel.run("%%agent\nWhere is the marker?")
    assert ran.status == "ok"
    assert kernel.run("print(len(frame), *frame.path.unique(), page[:9])").text.split() == (
        ["40", "rain.pdf", "It", "rains."]
    )
    items = json.loads(server.requests[-1])["input"]
    found, step, denied = [it["output"] for it in items if it["type"] == "function_call_output"]
    assert "rain.pdf, page 40: " in found and "frame" in str(step)
    assert "/etc/hostname" in denied or "nobody" in denied, denied
    assert list((tmp_path / "cache").rglob("*.sqlite3"))
