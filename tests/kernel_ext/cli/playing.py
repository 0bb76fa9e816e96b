"""The command `inkernel` as a process of its own, and a script that it plays."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "inkernel")


def inkernel(*arguments: str, cwd: Path, **how: Any) -> subprocess.CompletedProcess[Any]:
    """Run the command to its end. Its output is text, unless `text` is False."""
    given = {"capture_output": True, "text": True, "timeout": 100, **how}
    return subprocess.run([*COMMAND, *arguments], cwd=cwd, **given)


def run_cell(code: str) -> str:
    """The TOML of a response that runs code."""
    return call("run_cell", title="Step", code=code)


def call(tool: str, **arguments: Any) -> str:
    """The TOML of a response that calls a tool."""
    lines = "\n".join(f"{key} = {_toml(value)}" for key, value in arguments.items())
    return (
        f'[[turn.response]]\n[[turn.response.call]]\nname = "{tool}"\n'
        f"[turn.response.call.arguments]\n{lines}\n"
    )


def script(*responses: str, say: str = "Done.") -> str:
    """The TOML of a script with one turn: these responses, and then an answer."""
    return (
        f'model = "scripted/test"\n[[turn]]\n{"".join(responses)}[[turn.response]]\nsay = "{say}"\n'
    )


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
