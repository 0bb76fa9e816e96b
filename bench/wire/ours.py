"""inkernel's own loop, composed as in a kernel: storage, policy and record on, display off.

Its tool is the cheapest possible: it returns a text. `run_cell` and `inspect` are there only so
that the head is the same as a kernel's.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from inkernel.agent.config.settings import Settings
from inkernel.agent.context.changes import Environment, Snapshot
from inkernel.agent.conversation.journal import Journal
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.state import Conversation
from inkernel.agent.loop import turn
from inkernel.agent.protocol.actions import Verdict
from inkernel.agent.protocol.cells import CellRun
from inkernel.agent.protocol.events import TurnEnded
from inkernel.agent.providers.pricing import preload
from inkernel.agent.providers.resolve import Target
from inkernel.agent.responses.client import Client
from inkernel.agent.responses.request import Request
from inkernel.agent.seams import Seams
from inkernel.agent.session import Prompt, Session, new_session_id
from inkernel.agent.testing import answer
from inkernel.agent.tools.output import output_tool
from inkernel.agent.tools.run_cell import RunCell, run_cell_tool
from inkernel.agent.tools.tool import Tool, ToolCall, ToolOutput, always, text_output
from inkernel.kernel_ext.tools.inspect import inspect_tool

from .canned import TOOL
from .job import OUTPUT, SAID, Job, job_from_argv

PLACE = Environment(
    "/home/ada/rain", "2026-03-01", "Europe/Berlin", "3.12.4", notebook="rain.ipynb"
)


class Look(BaseModel):
    """The item to see."""

    what: str


class Taken:
    """How often the tool ran."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def run(self, call: ToolCall, arguments: Look) -> ToolOutput:
        """The cheapest tool."""
        self.calls.append(call.id)
        return text_output(OUTPUT)


async def _run_code(call: ToolCall, step: RunCell) -> CellRun:
    raise NotImplementedError("the canned model calls one tool, and not this one")


def tools(taken: Taken, outputs: OutputStore) -> tuple[Tool[Any], ...]:
    """A kernel's tools, and the one that is called."""
    look = Tool(TOOL, "Look at something.", Look, taken.run, always("run_code"))
    run_cell = run_cell_tool(_run_code, 10_000, outputs)
    return (run_cell, inspect_tool(dict), output_tool(outputs, 10_000, lambda _head: False), look)


@asynccontextmanager
async def session_for(job: Job, taken: Taken, folder: Path) -> AsyncGenerator[Session]:
    """A session against the server of `job`, its record in `folder`."""
    preload()
    settings = Settings(max_samples=job.count + 10, transport=job.transport)
    client = Client(Target("canned", job.url, "canned"), settings)
    record = Record(folder / "record.jsonl")
    outputs = OutputStore(record)
    try:
        yield Session(
            id=new_session_id(),
            settings=settings,
            target=client.target,
            tools=tools(taken, outputs),
            seams=Seams(client.sample, answer(Verdict(decision="deny", reason="nobody"))),
            journal=Journal(record, Conversation()),
            outputs=outputs,
        )
    finally:
        record.close()
        await client.close()


async def run(job: Job, folder: Path) -> dict[str, Any]:
    """Run one turn. For `loop` it measures the second of two, since the first one connects."""
    taken, took, status = Taken(), 0.0, ""
    async with session_for(job, taken, folder) as session:
        for _ in range(2 if job.work == "loop" else 1):
            started = time.perf_counter()
            async with aclosing(turn(session, Prompt(SAID, Snapshot(PLACE)))) as seen:
                async for event in seen:
                    if isinstance(event, TurnEnded):
                        status = event.status
            took = time.perf_counter() - started
    return {
        "seconds": took,
        "status": status,
        "calls": len(taken.calls),
        "calls run twice": len(taken.calls) - len(set(taken.calls)),
    }


async def read(job: Job, folder: Path) -> dict[str, Any]:
    """Time a response that the client alone reads to typed parts. It is the second of two."""
    took = 0.0
    async with session_for(job, Taken(), folder) as session:
        session.begin(Prompt(SAID, Snapshot(PLACE)))
        request = Request.of(session.fields(), session.conversation.history.wire)
        for _ in range(2):
            started = time.perf_counter()
            async with aclosing(session.seams.sample(request)) as parts:
                async for _part in parts:
                    pass
            took = time.perf_counter() - started
    return {"seconds": took}


def main() -> None:
    """Run the job on the command line."""
    job = job_from_argv()
    with tempfile.TemporaryDirectory(prefix="ink") as folder:
        work = read if job.work == "read" else run
        json.dump(asyncio.run(work(job, Path(folder))), sys.stdout)


if __name__ == "__main__":
    main()
