"""A real ipykernel, driven as a front end drives it. Knows no turn."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

PATIENCE = 300


@contextmanager
def running(**environ: str) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    """A kernel with this environment, and its client. Records are in a folder of its own."""
    with TemporaryDirectory(prefix="ink") as folder:  # short: sockets allow only some 100 bytes
        manager = KernelManager(transport="ipc", connection_file=f"{folder}/kernel.json")
        manager.start_kernel(env={**os.environ, "INKERNEL_DATA_DIR": folder, **environ})
        client = manager.blocking_client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=60)
            yield manager, client
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


def printed(client: BlockingKernelClient, code: str, stdin: bool = True) -> str:
    """Run a cell. Returns the text that it prints. Raises RuntimeError with its error.

    `stdin`: someone could answer a question, as in a notebook.
    """
    texts: list[str] = []

    def take(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            texts.append(message["content"]["text"])

    reply = client.execute_interactive(
        code, allow_stdin=stdin, output_hook=take, timeout=PATIENCE, stdin_hook=print
    )["content"]
    if reply["status"] != "ok":
        raise RuntimeError("\n".join(reply.get("traceback", [reply["status"]])))
    return "".join(texts)
