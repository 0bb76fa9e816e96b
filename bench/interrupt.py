"""Measures the time from an interrupt until the kernel is free again.

It uses a real ipykernel and the scripted model over HTTP, and interrupts in four places. It counts
from the interrupt request to the cell's `idle`.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from inkernel.agent.scripted.script import load_script
from inkernel.agent.scripted.server import ScriptedServer

from .kernel import printed, running

RUNS = 7

SILENT = 'fault = { first = 60 }\nsay = "x"\n'
STEP = """
[[turn.response.call]]
name = "run_cell"
[turn.response.call.arguments]
title = "wait"
code = {code}
"""
SLEEP = "import time; print('half' + '-way'); time.sleep(60)"
AWAIT = "import asyncio; print('half' + '-way'); await asyncio.sleep(60)"

Wait = Callable[[BlockingKernelClient, str], None]


def shown(client: BlockingKernelClient, message_id: str) -> None:
    """Wait until the view shows the step's output."""
    while True:
        message = client.get_iopub_msg(timeout=30)
        ours = message["parent_header"].get("msg_id") == message_id
        if ours and ">half-way" in json.dumps(message["content"], default=str):
            return


def sampling(client: BlockingKernelClient, message_id: str) -> None:
    """Wait until the view is shown and the request was sent."""
    while client.get_iopub_msg(timeout=30)["msg_type"] != "display_data":
        pass
    time.sleep(0.3)


def asked(client: BlockingKernelClient, message_id: str) -> None:
    """Wait until the user is asked."""
    client.get_stdin_msg(timeout=30)


PLACES: dict[str, tuple[str, str, Wait]] = {
    "a sample": (SILENT, "", sampling),
    "a running step": (STEP.format(code=json.dumps(SLEEP)), "", shown),
    "an awaiting step": (STEP.format(code=json.dumps(AWAIT)), "", shown),
    "an approval": (STEP.format(code='"1"'), "--policy ask", asked),
}


def measure(quick: bool) -> dict[str, float]:
    """The median of each place, and the longest of all, in milliseconds."""
    found = {place: turns(*how, 1 if quick else RUNS) for place, how in PLACES.items()}
    every = [ms for values in found.values() for ms in values]
    medians = {place: statistics.median(values) for place, values in found.items()}
    return {**medians, "runs": len(every), "longest": max(every)}


def turns(script: str, flags: str, wait: Wait, count: int) -> list[float]:
    """Milliseconds from interrupt to idle, for several turns in one kernel."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.toml"
        path.write_text('model = "scripted"\n' + ("[[turn]]\n[[turn.response]]\n" + script) * count)
        with (
            ScriptedServer(load_script(path)) as server,
            running(INKERNEL_BASE_URL=server.base_url, INKERNEL_MODEL="scripted") as kernel,
        ):
            printed(kernel[1], "%load_ext inkernel")
            return [interrupt(*kernel, flags, wait) for _ in range(count)]


def interrupt(
    manager: KernelManager, client: BlockingKernelClient, flags: str, wait: Wait
) -> float:
    """Interrupt one turn."""
    message_id = client.execute(f"%%agent --new {flags}\nGo.", allow_stdin=True)
    wait(client, message_id)
    started = time.perf_counter()
    manager.interrupt_kernel()
    while True:
        message = client.get_iopub_msg(timeout=30)
        idle = message["content"].get("execution_state") == "idle"
        if idle and message["parent_header"].get("msg_id") == message_id:
            took = (time.perf_counter() - started) * 1000
            client.get_shell_msg(timeout=30)
            return took
