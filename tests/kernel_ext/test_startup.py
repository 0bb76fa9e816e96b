"""What loading the extension loads, and what it leaves for later."""

import json
import subprocess
import sys
from typing import Any

import pytest

PROBE = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = set(sys.modules)
import inkernel
shell.run_line_magic("load_ext", "inkernel")
print(json.dumps(sorted(set(sys.modules) - before)))
"""

HEAVY = {"tiktoken", "anywidget", "ipywidgets", "httpx", "h11", "nbformat", "pandas", "pydantic"}
HEAVY |= {"platformdirs", "markdown_it", "nh3", "asyncio.subprocess", "matplotlib", "numpy"}


def loaded() -> set[str]:
    probe = [sys.executable, "-W", "error", "-c", PROBE]
    out = subprocess.run(probe, capture_output=True, text=True, check=True).stdout
    return set(json.loads(out.splitlines()[-1]))


def test_loading_the_extension_loads_nothing_heavy():
    assert not HEAVY & loaded()


def test_loading_the_extension_loads_our_own_few_modules_only():
    foreign = {name for name in loaded() if not name.startswith("inkernel")}
    assert foreign <= {"gc", "IPython.core.magics.extension"}


FIRST = """
import gc, json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "inkernel")
magics = shell.magics_manager.magics["cell"]["agent"].__self__
{0}
magics.agent
print(json.dumps(gc.isenabled()))
"""


@pytest.mark.parametrize("runs", [True, False])
def test_after_the_first_imports_the_garbage_collector_runs_as_before(runs: bool):
    probe = [sys.executable, "-c", FIRST.format("" if runs else "gc.disable()")]
    out = subprocess.run(probe, capture_output=True, text=True, check=True).stdout
    assert json.loads(out.splitlines()[-1]) is runs


UNUSED = [
    *("agent.conversation.resume", "agent.conversation.mend", "agent.scripted.server"),
    *("agent.text.displays.display_text", "agent.text.displays.svg_drawing"),
    *("kernel_ext.undo.checkpoint", "kernel_ext.cli.main"),
]


@pytest.mark.kernel
def test_a_first_turn_imports_nothing_that_it_does_not_use(agent: Any):
    kernel, _ = agent('model = "scripted/test"\n[[turn]]\n[[turn.response]]\nsay = "Hello."\n')
    assert kernel.run("%%agent\nHello.").status == "ok"
    loaded = set(json.loads(kernel.run("import json, sys; print(json.dumps([*sys.modules]))").text))
    assert not {f"inkernel.{name}" for name in UNUSED} & loaded
    assert "tomllib" not in loaded
    assert len({"httpx", "websockets"} & loaded) == 1
