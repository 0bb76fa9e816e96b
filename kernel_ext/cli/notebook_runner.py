"""Executes a working copy in a new kernel of this interpreter, and listens to its turns.

Needs nbclient, jupyter-client and ipykernel: the extra `headless`.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple, cast

import zmq
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode, ValidationError

from ...agent.config.settings import PREFIX
from ...agent.frozen import frozen
from ...agent.printable import printable
from ...agent.protocol.event_json import read_event
from ...agent.protocol.events import Event
from ..event_comm import EVENT_TARGET
from ..notebook.current import COPY_VARIABLE
from ..notebook.file.edits import SetOutputs
from ..notebook.outputs import with_joined_streams
from .listener import Listener
from .working_copy import WorkingCopy

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if sys.platform != "win32" else ()
"""Signals that end a run. A second one ends it at once."""
PATIENCE_SECONDS = 10.0
"""Seconds that an interrupted cell may take to end. Then its kernel is killed."""
KERNEL = Path(__file__).with_name("kernel_process.py")
NEVER = 10**6
"""Seconds. Outputs that are still on their way when a cell ends are waited for."""
MOST_WORDS = 300
"""Characters of an error that are shown, at most."""
BIND = "__import__('inkernel').load_ipython_extension(get_ipython())"
"""It leaves no name behind, and a later `%load_ext` changes nothing."""


@frozen
class Job:
    """How a notebook is executed: in a kernel with the working directory `folder`.

    `environ` is added to its environment variables. `notebook`: its path, as the agent knows it.
    `prompted`: the last cell is a prompt, whose agent knows all the other cells. `goes_on`: the
    prompt follows when one of these fails, and the cells between do not run.
    """

    folder: Path
    environ: Mapping[str, str]
    notebook: Path | None = None
    prompted: bool = False
    goes_on: bool = False


class RunEnd(NamedTuple):
    """How a run ended: by an error, by a signal, or well."""

    failure: str | None = None
    signal: int = 0


async def run_notebook(copy: WorkingCopy, job: Job, listener: Listener) -> RunEnd:
    """Execute each cell of the working copy. Their outputs go into it.

    A cell runs with the source that it has by then, as the agent may have edited it. Wall times are
    not saved, so that two runs differ only in their session's name. A signal interrupts the running
    cell, and no other begins.
    """
    ours = {
        f"{PREFIX}TIMING": "false",
        f"{PREFIX}EVENTS": "true",
        "JPY_SESSION_NAME": str(job.notebook.absolute()) if job.notebook else "",
        COPY_VARIABLE: str(copy.path) if job.notebook else "",
    }
    with TemporaryFile() as said:
        client = _Client(copy, job, listener)
        failure: str | None = None
        try:
            # Output of cells comes as messages. The process itself writes only when it crashes.
            await client.async_execute(env={**os.environ, **ours, **job.environ}, stderr=said)
        except CellExecutionError as error:
            failure = client.told(error)
        except DeadKernelError:
            said.seek(0)
            failure = f"The kernel died. {said.read()[-2000:].decode(errors='replace')}".strip()
        except _Stopped:
            pass
        client.put_outputs()
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

    `stopped`: the signal that came, or 0. The working copy is in a folder that only this user can
    read, and the kernel's connection file and sockets are beside it.
    """

    def __init__(self, copy: WorkingCopy, job: Job, listener: Listener) -> None:
        super().__init__(
            copy.node(),
            resources={"metadata": {"path": str(job.folder)}},
            timeout=None,
            record_timing=False,
            store_widget_state=False,
            iopub_timeout=NEVER,
        )
        self.stopped = 0
        self._at = 0
        self._failed = False
        self._running = False
        self._copy, self._job, self._listener = copy, job, listener
        self._connection = copy.path.with_name("kernel.json")
        self._put = {cell.id: _shown(cell) for cell in self._code()}
        self.comm_open_handlers[EVENT_TARGET] = self._open_comm
        self.on_cell_execute = self._begin

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

    async def async_start_new_kernel_client(self) -> Any:
        client = await super().async_start_new_kernel_client()
        if self._job.prompted:
            asked: Any = client.execute(BIND, silent=True, store_history=False)
            await self.async_wait_for_reply(asked)
        return client

    async def async_execute_cell(
        self,
        cell: NotebookNode,
        cell_index: int,
        execution_count: int | None = None,
        store_history: bool = True,
    ) -> NotebookNode:
        if self.stopped:
            raise _Stopped
        self._at, is_last = cell_index, cell_index == len(self._cells) - 1
        if cell.cell_type != "code" or (self._failed and not is_last) or not self._renew(cell):
            return cell
        self._running = True
        try:
            # nbclient would count the cells itself. The kernel's count includes the agent's steps.
            return await super().async_execute_cell(cell, cell_index, None, store_history)
        except CellExecutionError as error:
            if is_last or self.stopped or not self._job.goes_on:
                raise
            self._failed = True
            self._listener.warn(f"{self.told(error)} (the cells below it are not run)")
            return cell
        finally:
            self._running = False

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Take a message of the kernel. An output that no notebook can hold becomes words."""
        try:
            return super().process_message(msg, cell, cell_index)
        except ValidationError as error:
            reason = str(error).partition("\n")[0][:MOST_WORDS]
            text = f"[an output that does not follow the notebook format: {reason}]\n"
            cell.outputs.append(NotebookNode(output_type="stream", name="stderr", text=text))
            return None

    def told(self, error: CellExecutionError) -> str:
        """The failure of the last cell that ran: in one line, unless it is the prompt."""
        words = f"{error.ename}: {error.evalue}"
        if self._job.prompted and self._at == len(self._cells) - 1:
            return words
        count = self._cells[self._at].get("execution_count")
        line = printable(" ".join(words.split()))
        line = line if len(line) <= MOST_WORDS else f"{line[:MOST_WORDS]}…"
        return f"Cell #{self._at + 1}, In [{count}], failed: {line}"

    def put_outputs(self) -> None:
        """Put the outputs that are new since the last time into the working copy."""
        ran: list[SetOutputs] = []
        for cell in self._code():
            if (shown := _shown(cell)) != self._put[cell.id]:
                self._put[cell.id] = shown
                outputs = tuple(with_joined_streams(cell.outputs))
                ran.append(SetOutputs(cell.id, outputs, cell.execution_count))
        if ran:
            self._copy.put(ran)

    @property
    def _cells(self) -> list[Any]:
        return cast("list[Any]", self.nb.cells)

    def _code(self) -> list[Any]:
        return [cell for cell in self._cells if cell.cell_type == "code"]

    def _renew(self, cell: Any) -> bool:
        """Give the cell its present source. False if the agent has deleted it."""
        source = self._copy.source(cell.id)
        cell.source = source or ""
        return source is not None

    def _begin(self, cell: Any, cell_index: int) -> None:
        if "agent" in cell.source:  # it may read the notebook
            self.put_outputs()
        cast("Any", self.kc).session.metadata = {"cellId": cell.id}
        self._listener.begin(cell.source)

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
        return _Comm(self._listener.hear)


def _shown(cell: Any) -> str:
    """The outputs and number of a code cell, as text to compare."""
    return json.dumps([cell.get("outputs"), cell.get("execution_count")], sort_keys=True)


class _Comm:
    """This side of the events' comm."""

    def __init__(self, listen: Callable[[Event, int], None]) -> None:
        self._listen = listen
        self._last = 0

    def handle_msg(self, message: dict[str, Any]) -> None:
        """Pass one event on."""
        number: int = message["metadata"]["number"]
        lost, self._last = number - self._last - 1, number
        self._listen(read_event(message["content"]["data"]), lost)
