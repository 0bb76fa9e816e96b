"""Measures the time from an interrupt until the kernel is free again. `make bench`.

It uses a real ipykernel and the scripted model over HTTP, and interrupts in three places. It counts
from the interrupt request to the cell's `idle`. The target is 300 ms.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from inkernel.agent.scripted.script import load_script
from inkernel.agent.scripted.server import ScriptedServer

RUNS = 7
TARGET_MS = 300

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


def measure(script: str, flags: str, wait: Wait, folder: Path) -> list[float]:
    """Milliseconds from interrupt to idle, for several turns in one kernel."""
    path = folder / "script.toml"
    path.write_text('model = "scripted"\n' + ("[[turn]]\n[[turn.response]]\n" + script) * RUNS)
    manager = KernelManager(transport="ipc", connection_file=str(folder / "kernel.json"))
    with ScriptedServer(load_script(path)) as server:
        environ = {"INKERNEL_BASE_URL": server.base_url, "INKERNEL_MODEL": "scripted"}
        environ["INKERNEL_DATA_DIR"] = str(folder)
        manager.start_kernel(env={**os.environ, **environ})
        client = manager.blocking_client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=60)
            client.execute_interactive("%load_ext inkernel", timeout=60)
            return [interrupt(manager, client, flags, wait) for _ in range(RUNS)]
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


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


def main() -> None:
    """Print one line a place."""
    for name, (script, flags, wait) in PLACES.items():
        with tempfile.TemporaryDirectory(prefix="ink") as folder:
            values = measure(script, flags, wait, Path(folder))
        print(
            f"interrupt in {name:17} median {statistics.median(values):6.0f} ms"
            f"  max {max(values):6.0f} ms  (target {TARGET_MS} ms)"
        )


if __name__ == "__main__":
    main()
