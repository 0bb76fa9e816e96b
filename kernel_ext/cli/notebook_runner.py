"""Executes a notebook in a new kernel of this interpreter, and listens to its turns. Saves nothing.

Needs nbclient, jupyter-client and ipykernel: the extra `headless`.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, NamedTuple, cast

import zmq
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from pydantic import TypeAdapter

from ...agent.config.settings import PREFIX
from ...agent.protocol.events import Event
from ..event_comm import EVENT_TARGET

Listen = Callable[[Event, int], None]
"""Gets each event, and how many before it did not arrive."""
Begin = Callable[[str], None]
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if sys.platform != "win32" else ()
"""Signals that end a run. A second one ends it at once."""
PATIENCE_SECONDS = 10.0
"""Seconds that an interrupted cell may take to end. Then its kernel is killed."""
KERNEL = Path(__file__).with_name("kernel_process.py")
NEVER = 10**6
"""Seconds. Outputs that are still on their way when a cell ends are waited for."""

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class RunEnd(NamedTuple):
    """How a run ended: by an error, by a signal, or well."""

    failure: str | None = None
    signal: int = 0


async def run_notebook(
    notebook: NotebookNode, folder: Path, environ: Mapping[str, str], listen: Listen, begin: Begin
) -> RunEnd:
    """Execute every cell in place, in a kernel whose working directory is `folder`.

    `environ` is added to the kernel's environment variables. `begin` gets the source of each code
    cell. Wall times are not saved, so that two runs give the same notebook. A signal interrupts the
    running cell, and no other begins.
    """
    ours = {f"{PREFIX}TIMING": "false", f"{PREFIX}EVENTS": "true"}

    def cell_begins(cell: Any, cell_index: int) -> None:
        begin(cell.source)

    with TemporaryDirectory(prefix="inkernel-") as private, TemporaryFile() as said:
        client = _Client(notebook, folder, Path(private), listen)
        client.on_cell_execute = cell_begins
        failure: str | None = None
        try:
            # Output of cells comes as messages. The process itself writes only when it crashes.
            await client.async_execute(env={**os.environ, **ours, **environ}, stderr=said)
        except CellExecutionError as error:
            failure = f"{error.ename}: {error.evalue}"
        except DeadKernelError:
            said.seek(0)
            failure = f"The kernel died. {said.read()[-2000:].decode(errors='replace')}".strip()
        except _Stopped:
            pass
        if client.stopped:
            failure = f"Ended by {signal.Signals(client.stopped).name}."
        return RunEnd(failure, client.stopped)


class _Stopped(Exception):
    """A signal came before this cell could begin."""


class _OwnKernel(KernelSpecManager):
    """Gives a kernel of this interpreter, whatever name is asked for."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, str(KERNEL), "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")


class _Client(NotebookClient):
    """nbclient with a kernel of our own. It interrupts it on a signal, and listens to the events.

    `stopped`: the signal that came, or 0.
    `private`: a folder that only this user can read, for the kernel's connection file and sockets.
    """

    def __init__(self, notebook: NotebookNode, folder: Path, private: Path, listen: Listen) -> None:
        super().__init__(
            notebook,
            resources={"metadata": {"path": str(folder)}},
            timeout=None,
            record_timing=False,
            coalesce_streams=True,
            store_widget_state=False,
            iopub_timeout=NEVER,
        )
        self.stopped = 0
        self._running = False
        self._listen = listen
        self._connection = private / "kernel.json"
        self.comm_open_handlers[EVENT_TARGET] = self._open_comm

    def create_kernel_manager(self) -> AsyncKernelManager:
        # TCP would be unencrypted and open to every user of the machine. Windows has only TCP.
        transport = "tcp" if sys.platform == "win32" else "ipc"
        self.km = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=_OwnKernel(),
            transport=transport,
            connection_file=str(self._connection),
        )
        context = cast("Any", self.km).context
        context.setsockopt(zmq.RCVHWM, 0)  # else ZeroMQ drops messages over 1,000
        return self.km

    async def async_start_new_kernel(self, **kwargs: Any) -> None:
        loop = asyncio.get_running_loop()
        for number in STOPPING:  # instead of nbclient's own, which end in an error of its cleanup
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, self._stop, number)
        await super().async_start_new_kernel(**kwargs)

    async def async_execute_cell(
        self,
        cell: NotebookNode,
        cell_index: int,
        execution_count: int | None = None,
        store_history: bool = True,
    ) -> NotebookNode:
        if self.stopped:
            raise _Stopped
        self._running = True
        try:
            # nbclient would count the cells itself. The kernel's count includes the agent's steps.
            return await super().async_execute_cell(cell, cell_index, None, store_history)
        finally:
            self._running = False

    def _stop(self, number: int) -> None:
        again, self.stopped = bool(self.stopped), self.stopped or number
        if again:
            self._kill()
        elif self._running:
            self._interrupting = asyncio.ensure_future(cast("Any", self.km).interrupt_kernel())
            asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._kill)

    def _kill(self) -> None:
        if self._running:
            self._killing = asyncio.ensure_future(
                cast("Any", self.km).signal_kernel(signal.SIGKILL)
            )

    def _open_comm(self, _message: dict[str, Any]) -> "_Comm":
        return _Comm(self._listen)


class _Comm:
    """This side of the events' comm."""

    def __init__(self, listen: Listen) -> None:
        self._listen = listen
        self._last = 0

    def handle_msg(self, message: dict[str, Any]) -> None:
        """Pass one event on."""
        number: int = message["metadata"]["number"]
        lost, self._last = number - self._last - 1, number
        self._listen(_EVENT.validate_python(message["content"]["data"]), lost)
