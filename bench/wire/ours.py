"""inkernel's own loop, composed as in a kernel: storage, policy and record on, display off.

Instructions, tools and context are those of a turn in a notebook, made by the same code. But its
`run_cell` is the cheapest possible: it returns a text.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from inkernel.agent.config.settings import Settings
from inkernel.agent.conversation.journal import Journal
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.state import Conversation
from inkernel.agent.dialects.request import Request
from inkernel.agent.loop import turn
from inkernel.agent.protocol.actions import Verdict
from inkernel.agent.protocol.events import TurnEnded
from inkernel.agent.providers.pricing import preload
from inkernel.agent.providers.resolve import Target
from inkernel.agent.seams import Seams
from inkernel.agent.services import Services
from inkernel.agent.session import Prompt, Session, new_session_id
from inkernel.agent.testing import answer
from inkernel.agent.tools.run_cell import RunCell
from inkernel.agent.tools.tool import Tool, ToolCall, ToolOutput, text_output
from inkernel.agent.transport.client import Client
from inkernel.kernel_ext.environment import find_notebook
from inkernel.kernel_ext.execution.capture import OutputCapture
from inkernel.kernel_ext.execution.interrupts import Interruption
from inkernel.kernel_ext.execution.run_code import Host
from inkernel.kernel_ext.notebook.current import current_notebook
from inkernel.kernel_ext.observer import Obeys, Observer
from inkernel.kernel_ext.sandbox.walls.folders import find_folders
from inkernel.kernel_ext.tools.step_runner import StepHooks
from inkernel.kernel_ext.toolset import tools_of_turn
from inkernel.kernel_ext.user_cells.log import UserCellLog

from .canned import TOOL
from .job import OUTPUT, SAID, Job, job_from_argv


class Taken:
    """The calls of the tool that the model calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def run(self, call: ToolCall, arguments: RunCell) -> ToolOutput:
        """Run nothing, and give a text."""
        self.calls.append(call.id)
        return text_output(OUTPUT)


def tools(session: Session, shell: Any, taken: Taken) -> tuple[Tool[Any], ...]:
    """The tools of a turn in a notebook. The one that is called does nothing."""
    host = Host(shell, OutputCapture(shell), Interruption())
    here = current_notebook(shell, find_notebook(shell))
    return tuple(
        replace(tool, run=taken.run) if tool.name == TOOL else tool
        for tool in tools_of_turn(host, session, here, StepHooks(str, str), Services())
    )


def prompt_of(session: Session, shell: Any, folder: Path) -> Prompt:
    """The prompt, with the context that a turn in this shell has."""
    observer = Observer(shell, UserCellLog(), Obeys(folder, find_folders, dict))
    return observer.prompt(SAID, session.settings, session.conversation.told)


@asynccontextmanager
async def session_for(
    job: Job, taken: Taken, folder: Path
) -> AsyncGenerator[tuple[Session, Prompt]]:
    """A session against the server of `job`, its record in `folder`, and its prompt."""
    preload()
    settings = Settings(
        max_samples=job.count + 10,
        turn_steps=job.count + 10,
        transport=job.transport,
        compress=job.compress or "auto",
    )
    client = Client(Target("canned", job.url, "canned"), settings)
    record = Record(folder / "record.jsonl")
    try:
        session = Session(
            id=new_session_id(),
            settings=settings,
            target=client.target,
            tools=(),
            seams=Seams(client.sample, answer(Verdict(decision="deny", reason="nobody"))),
            journal=Journal(record, Conversation()),
            outputs=OutputStore(record),
        )
        shell = InteractiveShell.instance()
        session = replace(session, tools=tools(session, shell, taken))
        yield session, prompt_of(session, shell, folder)
    finally:
        record.close()
        await client.close()


async def run(job: Job, folder: Path) -> dict[str, Any]:
    """Run one turn. For `loop` it measures the second of two, since the first one connects."""
    taken, took, status = Taken(), 0.0, ""
    async with session_for(job, taken, folder) as (session, prompt):
        for _ in range(2 if job.work == "loop" else 1):
            started = time.perf_counter()
            async with aclosing(turn(session, prompt)) as seen:
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
    async with session_for(job, Taken(), folder) as (session, prompt):
        session.begin(prompt)
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
