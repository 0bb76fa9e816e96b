"""A shell of this process, and a real ipykernel in its own, driven as a front end drives it."""

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from queue import Empty
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.testing.globalipapp import start_ipython
from jupyter_client.manager import KernelManager

PATIENCE = 60
"""Seconds any single message may take on a busy machine before a test gives up."""


@dataclass
class Ran:
    """What one cell came to: its reply, and its outputs as a notebook would keep them."""

    status: str = ""
    ename: str = ""
    evalue: str = ""
    traceback: str = ""
    outputs: list[dict[str, Any]] = field(default_factory=list)
    comms: list[dict[str, Any]] = field(default_factory=list)
    count: int | None = None
    payload: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    clearing: bool = False
    cleared: int = 0

    @property
    def text(self) -> str:
        """Streams and text/plain, in order."""
        return "\n".join(
            output.get("text") or output.get("data", {}).get("text/plain", "")
            for output in self.outputs
        )


class Kernel:
    """One kernel and its client."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._private = TemporaryDirectory()  # a short path: sockets allow only some 100 bytes
        connection = Path(self._private.name, "kernel.json")
        self.manager = KernelManager(
            kernel_name="python3", transport="ipc", connection_file=str(connection)
        )
        # Where it finds itself under test, ipykernel does not hear what subprocesses write.
        inherited = {name: it for name, it in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        self.manager.start_kernel(cwd=str(folder), env={**inherited, **environ})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def start(self, code: str, allow_stdin: bool = False, cell_id: str | None = None) -> str:
        """Send a cell; its message id."""
        if cell_id is None:
            return self.client.execute(code, allow_stdin=allow_stdin, stop_on_error=True)
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": allow_stdin}
        message = self.client.session.msg("execute_request", content, metadata={"cellId": cell_id})
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def run(self, code: str, **how: Any) -> Ran:
        """Send a cell and wait for its end.

        An older ipykernel refuses for a moment what comes right after an error. Then send it again.
        """
        while (ran := self.finish(self.start(code, **how))).status == "aborted":
            time.sleep(0.05)
        return ran

    def finish(self, message_id: str) -> Ran:
        """Collect a cell's outputs until it is idle again, then its reply."""
        ran, shown = Ran(), {}
        started = time.monotonic()
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != message_id:
                continue
            if message["msg_type"] == "status":
                if message["content"]["execution_state"] == "idle":
                    break
                continue
            self.keep(message, ran, shown)
        ran.seconds = time.monotonic() - started
        reply = self._reply(message_id)
        ran.status, ran.count = reply["status"], reply.get("execution_count")
        ran.payload = reply.get("payload", [])
        ran.ename, ran.evalue = reply.get("ename", ""), reply.get("evalue", "")
        ran.traceback = "\n".join(reply.get("traceback", []))
        return ran

    def wait_for(self, message_id: str, kind: str) -> dict[str, Any]:
        """The first message of a kind that a cell sends."""
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == message_id and message["msg_type"] == kind:
                return message["content"]

    def wait_for_question(self) -> str:
        """The prompt of the `input()` the kernel waits in."""
        return self.client.get_stdin_msg(timeout=PATIENCE)["content"]["prompt"]

    def interrupt(self) -> None:
        """What the ■ button does."""
        self.manager.interrupt_kernel()

    def close(self) -> None:
        """Stop client and kernel."""
        self.client.stop_channels()
        self.client.context.destroy()  # an older jupyter_client leaves that to the collector
        self.manager.shutdown_kernel(now=True)
        self._private.cleanup()

    def _reply(self, message_id: str) -> dict[str, Any]:
        while True:
            message = self.client.get_shell_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == message_id:
                return message["content"]

    @staticmethod
    def keep(message: dict[str, Any], ran: Ran, shown: dict[str, dict[str, Any]]) -> None:
        content, kind = message["content"], message["msg_type"]
        display_id = (content.get("transient") or {}).get("display_id")
        if kind.startswith("comm"):
            ran.comms.append({"type": kind, **content})
        elif kind == "update_display_data" and display_id in shown:
            shown[display_id].update(data=content["data"], metadata=content["metadata"])
        elif kind == "clear_output":
            ran.clearing = True
            ran.cleared += 1
        elif kind in ("stream", "display_data", "execute_result", "error"):
            if ran.clearing:
                ran.outputs.clear()
                shown.clear()
                ran.clearing = False
            ran.outputs.append({"output_type": kind, **content})
            if display_id:
                shown[display_id] = ran.outputs[-1]

    def nothing_more(self, seconds: float = 0.2) -> bool:
        """No further message comes for a while."""
        try:
            self.client.get_iopub_msg(timeout=seconds)
        except Empty:
            return True
        return False


def skip_without_imports(code: str) -> None:
    """Skip a test whose code, in cells of Python and magics, imports what is not installed."""
    named = re.findall(r"\bfrom (\w+)[\w.]* import|\bimport (\w+)|, (\w+) as ", code)
    names = {name for names in named for name in names if name}
    names |= {"pyarrow"} if "parquet" in code else set()  # pandas imports it by itself
    if missing := sorted(it for it in names if find_spec(it) is None):
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """The shell of this process, emptied."""
    shell = start_ipython() or InteractiveShell.instance()
    shell.reset(new_session=False)
    yield shell
    shell.reset(new_session=False)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Callable[..., Kernel]]:
    """Starts kernels in `tmp_path`, with more environment; they are stopped at the end."""
    kernels: list[Kernel] = []

    def start(**environ: str) -> Kernel:
        kernels.append(Kernel(tmp_path, environ))
        return kernels[-1]

    yield start
    for running in kernels:
        running.close()


@pytest.fixture
def agent(
    request: pytest.FixtureRequest, kernel: Callable[..., Any], scripted: Callable[[str], Any]
):
    """Starts a kernel with the extension loaded, and the scripted server it talks to.

    Without a script it is the `SCRIPT` of the test's file.
    """

    def start(script: str | None = None, **environ: str):
        server = scripted(script or request.module.SCRIPT)
        running = kernel(
            INKERNEL_BASE_URL=server.base_url, INKERNEL_MODEL="scripted/test", **environ
        )
        assert running.run("%load_ext inkernel").status == "ok"
        return running, server

    return start
