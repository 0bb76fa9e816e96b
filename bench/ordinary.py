"""Runs ordinary steps of data work through whole turns, under the default policy and under `full`.

The steps are those of `tests/kernel_ext/sandbox/ordinary/`. A scripted model calls for them one
after the other in a real kernel where nobody can answer, so a question is a denial. A step's time
is the time from one request to the next.
"""

import json
import os
import re
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer

from .kernel import printed, running

STEPS = Path(__file__).parents[1] / "tests" / "kernel_ext" / "sandbox" / "ordinary"
QUICK = ("files", 4)
"""The notebook of a quick run, and its cells."""
POLICIES = ("auto", "full")
_VARIES = re.compile(
    r"0x[0-9a-f]+|(?:CPU times|Wall time):[^\n]*|(?:/[\w.-]+)+/ws\b|\d[\d.]* m?s\b"
)
"""Addresses, times and the workspace, which no two runs share."""


class Ran(NamedTuple):
    """A step under one policy. `seconds`: until the next request."""

    output: str
    denied: bool
    seconds: float


class Stamped(list[bytes]):
    """Requests, with the time of each."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def append(self, body: bytes) -> None:
        """Keep a request."""
        self.times.append(time.perf_counter())
        super().append(body)


def measure(quick: bool) -> dict[str, float]:
    """Steps that ask, steps that end otherwise than under `full`, and their times in ms."""
    pairs: list[tuple[Ran, Ran]] = []
    for path in sorted(STEPS.glob("*.txt")):
        cells = path.read_text(encoding="utf-8").split("# %%\n")
        if not quick or path.stem == QUICK[0]:
            auto, full = (_run(cells[: QUICK[1] if quick else None], it) for it in POLICIES)
            pairs += zip(auto, full, strict=True)
    added = [1e3 * (one.seconds - other.seconds) for one, other in pairs]
    return {
        "steps": len(pairs),
        "asked": sum(one.denied for one, _ in pairs),
        "asked percent": 100 * sum(one.denied for one, _ in pairs) / len(pairs),
        "differ": sum(one.output != other.output and not one.denied for one, other in pairs),
        "added": median(added),
        "longest added": max(added),
    }


def _run(cells: list[str], policy: str) -> list[Ran]:
    calls = [
        {"call": [{"name": "run_cell", "arguments": {"title": "step", "code": it}}]} for it in cells
    ]
    turn = {"on": "go", "response": [*calls, {"say": "Done."}]}
    requests = Stamped()
    with (
        TemporaryDirectory(prefix="ink") as folder,
        ScriptedServer(Script.model_validate({"turn": [turn]})) as server,
    ):
        object.__setattr__(server._service, "requests", requests)  # it has no clock of its own
        places = {name: os.path.join(folder, name) for name in ("ws", "tmp", "own")}
        for place in places.values():
            os.mkdir(place)
        environ = {
            "INKERNEL_BASE_URL": server.base_url,
            "INKERNEL_MODEL": "scripted/test",
            "TMPDIR": places["tmp"],
            "IPYTHONDIR": places["own"],
            "XDG_CONFIG_HOME": places["own"],
        }
        with running(**environ) as (_, client):
            printed(client, f"import os; os.chdir({places['ws']!r})\n%load_ext inkernel", False)
            printed(client, f"%%agent --policy {policy}\ngo", False)
    outputs = [_last_output(body) for body in requests[1:]]
    took = [then - now for now, then in zip(requests.times, requests.times[1:], strict=False)]
    return [
        Ran(_VARIES.sub("…", text), text.startswith("Not run"), seconds)
        for text, seconds in zip(outputs, took, strict=True)
    ]


def _last_output(body: bytes) -> str:
    items: list[dict[str, Any]] = json.loads(body)["input"]
    found = next(it for it in reversed(items) if it.get("type") == "function_call_output")
    output = found["output"]
    parts = [output] if isinstance(output, str) else [it.get("text", "") for it in output]
    return "\n".join(parts)
