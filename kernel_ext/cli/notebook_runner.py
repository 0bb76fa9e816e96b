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
from typing import Any, cast

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from pydantic import TypeAdapter

from ...agent.config.settings import PREFIX
from ...agent.protocol.events import Event
from ..event_comm import EVENT_TARGET

Listen = Callable[[Event], None]
Begin = Callable[[str], None]

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


async def run_notebook(
    notebook: NotebookNode, folder: Path, environ: Mapping[str, str], listen: Listen, begin: Begin
) -> str | None:
    """Execute every cell in place, in a kernel whose working directory is `folder`.

    `environ` is added to the kernel's environment variables. `begin` gets the source of each code
    cell. Wall times are not saved, so that two runs give the same notebook. Returns the message of
    the error that stopped it, or None.
    """
    ours = {f"{PREFIX}TIMING": "false", f"{PREFIX}EVENTS": "true"}

    def cell_begins(cell: Any, cell_index: int) -> None:
        begin(cell.source)

    with TemporaryDirectory(prefix="inkernel-") as private, TemporaryFile() as said:
        client = _Client(notebook, folder, Path(private), listen)
        client.on_cell_execute = cell_begins
        try:
            # Output of cells comes as messages. The process itself writes only when it crashes.
            await client.async_execute(env={**os.environ, **ours, **environ}, stderr=said)
        except CellExecutionError as error:
            return f"{error.ename}: {error.evalue}"
        except DeadKernelError:
            said.seek(0)
            return f"The kernel died. {said.read()[-2000:].decode(errors='replace')}".strip()
        return None


class _OwnKernel(KernelSpecManager):
    """Gives a kernel of this interpreter, whatever name is asked for."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")


class _Client(NotebookClient):
    """nbclient with a kernel of our own. It passes SIGINT on to it, and listens to the events.

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
        )
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
        return self.km

    async def async_start_new_kernel_client(self) -> Any:
        client = await super().async_start_new_kernel_client()
        loop = asyncio.get_running_loop()
        if sys.platform != "win32":
            loop.add_signal_handler(signal.SIGINT, self._interrupt)
        return client

    async def async_execute_cell(
        self,
        cell: NotebookNode,
        cell_index: int,
        execution_count: int | None = None,
        store_history: bool = True,
    ) -> NotebookNode:
        # nbclient would count the cells itself. The kernel's count includes the agent's steps.
        return await super().async_execute_cell(cell, cell_index, None, store_history)

    def _interrupt(self) -> None:
        self._interrupting = asyncio.ensure_future(cast("Any", self.km).interrupt_kernel())

    def _open_comm(self, _message: dict[str, Any]) -> "_Comm":
        return _Comm(self._listen)


class _Comm:
    """This side of the events' comm."""

    def __init__(self, listen: Listen) -> None:
        self._listen = listen

    def handle_msg(self, message: dict[str, Any]) -> None:
        """Pass one event on."""
        self._listen(_EVENT.validate_python(message["content"]["data"]))
