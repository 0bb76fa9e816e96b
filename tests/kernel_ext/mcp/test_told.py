"""What servers tell by themselves: progress in the step, words in the log, and their end."""

import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.kernel_ext.mcp.turns import call_of, code, outputs, script, table

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp"),
]
ASKING = table("asking", Path(__file__).with_name("asking.py"))
call = partial(call_of, "asking")
Start = Callable[..., Any]


def test_progress_is_a_line_of_the_step_and_the_models_output_is_without_it(serving: Start):
    kernel, server = serving(script(("go", [call("count", steps=200)])), ASKING)
    ran = kernel.run("%%agent\ngo")
    shown = "".join(str(it.get("data", {}).get("text/plain", "")) for it in ran.outputs)
    assert "200 of 200: page 200" in shown and "page 199" not in shown
    assert "page" not in outputs(server)[0]
    kernel, _ = serving(
        script(("go", [code("await agent_tools.asking.count(steps=3)\nprint('after')")])), ASKING
    )
    ran = kernel.run("%%agent\ngo")
    shown = "".join(str(it.get("data", {}).get("text/plain", "")) for it in ran.outputs)
    assert "page 3 … 1 more line" in shown


def test_words_for_the_log_are_in_it(serving: Start):
    kernel, _ = serving(script(("go", [code("await agent_tools.asking.count(steps=1)")])), ASKING)
    assert kernel.run("%%agent\ngo").status == "ok"
    assert "warning: the last page is torn" in kernel.run("%agent mcp log asking").text


def test_a_log_is_of_a_server_of_one_project(serving: Start):
    step = code("await agent_tools.asking.count(steps=1)")
    kernel, _ = serving(script(("go", [step]), ("again", [])), ASKING)
    for name in ("one", "two"):
        kernel.run(f"import os; os.makedirs('/'.join([os.getcwd(), '{name}', '.git']))")
    kernel.run("os.chdir('one')")
    assert kernel.run("%%agent\ngo").status == "ok"
    first = kernel.run("%agent mcp log asking").text
    kernel.run("os.chdir('../two')")
    assert kernel.run("%%agent\nagain").status == "ok"
    second = kernel.run("%agent mcp log asking").text
    assert "/one-" in first and "torn" in first and "/two-" in second and "torn" not in second


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_server_on_this_machine_learns_the_folder_of_the_project(serving: Start, mode: str):
    steps = [call("folders"), code("found = await agent_tools.asking.folders()")]
    kernel, server = serving(script(("go", steps)), f'{ASKING}mode = "{mode}"\n')
    kernel.run("import os; os.makedirs('a project/.git'); os.chdir('a project')")
    kernel.run("os.mkdir('inner'); os.chdir('inner')")
    assert kernel.run("%%agent\ngo").status == "ok"
    assert "a project: file:///" in outputs(server)[0]
    assert kernel.run("len(found), found[0].endswith('/a%20project')").text == "(1, True)"


def test_the_end_of_an_idle_server_is_in_its_log(serving: Start):
    kernel, _ = serving(script(("go", [code("pid = await agent_tools.asking.process()")])), ASKING)
    assert kernel.run("%%agent\ngo").status == "ok"
    kernel.run("import os; os.kill(pid, 9)")
    end = time.monotonic() + 60
    while "are not heard any more" not in (told := kernel.run("%agent mcp log asking").text):
        assert time.monotonic() < end, told
        time.sleep(0.2)
