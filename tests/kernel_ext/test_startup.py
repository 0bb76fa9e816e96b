"""What loading the extension loads, and what it leaves for later."""

import json
import subprocess
import sys

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
