"""Measures what a step adds to its code, and a tool call from code. `python bench/steps.py`.

It uses a real shell in this process, and prints medians. For comparison the code itself (`a = 1`)
runs as a cell.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from inkernel.agent.config.settings import Settings
from inkernel.agent.conversation.journal import Journal
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.state import Conversation
from inkernel.agent.dispatch.from_code import AGENT_TOOLS, lend
from inkernel.agent.protocol.actions import Verdict
from inkernel.agent.providers.resolve import Target
from inkernel.agent.seams import Seams
from inkernel.agent.session import Session
from inkernel.agent.testing import play
from inkernel.agent.tools.tool import Tool, ToolCall
from inkernel.kernel_ext.execution.capture import OutputCapture
from inkernel.kernel_ext.execution.interrupts import Interruption
from inkernel.kernel_ext.execution.run_code import CodeStep, Host, run_code
from inkernel.kernel_ext.tools.inspect import inspect_tool

RUNS, CALLS, TARGET_MS = 200, 100, 50


def median_ms(work: Callable[[], object], runs: int = RUNS) -> float:
    """The median of some runs."""
    times: list[float] = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


async def refuse(_action: Any, _verdict: Verdict) -> Verdict:
    """The `approve` seam, which nothing here calls."""
    raise NotImplementedError


def session_in(folder: Path) -> Session:
    """A session with a record, and nothing else."""
    record = Record(folder / "session.jsonl")
    target = Target("none", "http://127.0.0.1:9/v1", "m")
    seams, journal = Seams(play([]), refuse), Journal(record, Conversation())
    return Session("s", Settings(), target, (), seams, journal, OutputStore(record))


def main() -> None:
    """Run steps, then calls from code."""
    config = Config()
    config.HistoryManager.hist_file = ":memory:"  # one after the other, steps would wait for a disk
    shell: Any = InteractiveShell.instance(config=config)
    with tempfile.TemporaryDirectory() as folder, OutputCapture(shell) as taps:
        session = session_in(Path(folder))
        host = Host(shell, taps, Interruption())

        def run(code: str, **how: Any) -> None:
            asyncio.run(run_code(host, CodeStep(code, "bench", lambda _change: True, **how)))

        cell = median_ms(lambda: shell.run_cell("a = 1", store_history=True))
        loop = median_ms(lambda: asyncio.run(asyncio.sleep(0)))
        step = median_ms(lambda: run("a = 1")) - loop
        print(f"a step of `a = 1`: {step:.2f} ms; a cell of it: {cell:.2f} ms")

        tools: tuple[Tool[Any], ...] = (inspect_tool(lambda: shell.user_ns),)
        code = f"for n in range({CALLS}): await {AGENT_TOOLS}.inspect(names=['a'])"
        bare = median_ms(lambda: run("await __import__('asyncio').sleep(0)"), 9)
        with lend(session, tools, ToolCall("call_1")) as functions:
            took = median_ms(lambda: run(code, lent={AGENT_TOOLS: functions}), 9) - bare
        print(f"{CALLS} tool calls in one step: {took:.1f} ms (target {TARGET_MS})")
        session.journal.record.close()


if __name__ == "__main__":
    main()
