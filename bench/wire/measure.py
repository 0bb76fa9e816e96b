"""Runs the cases in rounds, each in a process of its own. Knows no figure's meaning."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from .job import Job

ROOT = Path(__file__).parents[2]
LONGEST = 300
"""Seconds that one case may take."""

_open = build_opener(ProxyHandler({})).open


@dataclass(frozen=True)
class Case:
    """One client that does one work by one plan of the server, so many times.

    `head`: the fields to send, as JSON, if the client does not make its own. `compress`: over a
    compressed WebSocket.
    """

    client: str
    transport: str
    plan: str
    work: str = "turn"
    rounds: int = 3
    head: str = ""
    compress: bool = False

    @property
    def key(self) -> str:
        """The name of the case in the results."""
        head = " same head" if self.head else " compressed" if self.compress else ""
        return f"{self.client} {self.work} {self.transport} {self.plan}{head}"

    @property
    def count(self) -> int:
        """Steps, or deltas."""
        return int(self.plan.split(".")[1])


Results = dict[str, list[dict[str, Any]]]
"""The measurements of server and client for each run, by the key of the case."""


@dataclass(frozen=True)
class Bench:
    """A server that is up, and the interpreter of the peers."""

    port: int
    peers: str

    def run(self, case: Case) -> dict[str, Any]:
        """One run of one case. If it fails, raises RuntimeError with the output of its process."""
        address = f"http://127.0.0.1:{self.port}/run/{case.plan}"
        _get(address)
        job = Job(f"{address}/v1", case.transport, case.work, case.count, case.head, case.compress)
        module = f"{__package__}.{case.client}"
        python = self.peers if case.client == "peers" else sys.executable
        done = subprocess.run(
            [python, "-m", module, job.words],
            cwd=ROOT,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        seen = _get(address)
        if done.returncode:
            raise RuntimeError(f"{case.key} failed:\n{done.stderr[-2000:]}")
        return {**seen, **json.loads(done.stdout)}


@contextmanager
def serving(peers: str = "") -> Iterator[Bench]:
    """The measuring server, in a process of its own."""
    server = subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.server"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    with server:
        try:
            yield Bench(int(server.stdout.readline()), peers)
        finally:
            server.kill()


def measure_cases(bench: Bench, cases: Sequence[Case]) -> Results:
    """Run all cases in rounds, so that a disturbance affects all of them.

    A case that fails is reported and left out.
    """
    results: Results = {case.key: [] for case in cases}
    for number in range(max(case.rounds for case in cases)):
        for case in cases:
            if number < case.rounds:
                print(f"round {number + 1}: {case.key}", file=sys.stderr, flush=True)
                try:
                    results[case.key].append(bench.run(case))
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    print(error, file=sys.stderr, flush=True)
    return results


def _environment() -> dict[str, str]:
    """A notebook's, without anything that slows imports, or leads requests elsewhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("INKERNEL_", "OPENAI_"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    own = {"JPY_SESSION_NAME": "rain.ipynb", "OPENAI_AGENTS_DISABLE_TRACING": "1"}
    return {**kept, **own, "NO_PROXY": "127.0.0.1"}


def _get(address: str) -> dict[str, Any]:
    with _open(address, timeout=LONGEST) as answer:
        return json.load(answer)
