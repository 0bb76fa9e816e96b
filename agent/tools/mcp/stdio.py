"""A server as a process of its own: JSON-RPC by lines over its pipes. Knows no server's tools.

The SDK's own transport reads lines of any length. This one takes at most `MAX_LINE_BYTES`.
"""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import anyio

from ...frozen import frozen

if TYPE_CHECKING:
    from anyio.abc import ObjectReceiveStream, ObjectSendStream

MAX_LINE_BYTES = 16 << 20
_KEPT = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "USER")
"""Variables that a server gets of ours. No key is among them."""
_LEAVES_SECONDS, _ENDS_SECONDS = 2.0, 2.0
"""How long a server may take to end once its input is closed, and once it gets a signal to end."""
_TOO_LONG = f"it sent a line of more than {MAX_LINE_BYTES >> 20} MB"


@frozen
class ServerCommand:
    """The process to start. `env`: variables beside the few of ours that it gets."""

    command: str
    args: Sequence[str] = ()
    env: Mapping[str, str] | None = None
    cwd: str | None = None


@asynccontextmanager
async def stdio(command: ServerCommand, log: BinaryIO, ended: "list[str]") -> "AsyncGenerator[Any]":
    """The process as a transport of the SDK. `ended` gets the reason why no more can be read.

    It has a session of its own, so that an interrupt of the kernel does not reach it. Raises
    OSError if it cannot start.
    """
    process = await asyncio.create_subprocess_exec(
        command.command,
        *command.args,
        env={**{it: os.environ[it] for it in _KEPT if it in os.environ}, **(command.env or {})},
        cwd=command.cwd or Path.cwd(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        start_new_session=True,
        limit=MAX_LINE_BYTES,
    )
    to_us, read = anyio.create_memory_object_stream[Any](0)
    write, from_us = anyio.create_memory_object_stream[Any](0)
    tasks = [
        asyncio.create_task(_read(process, to_us, ended)),
        asyncio.create_task(_write(process, from_us)),
    ]
    try:
        yield read, write
    finally:
        for stream in (read, write, to_us, from_us):
            stream.close()
        await asyncio.shield(_end(process))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read(
    process: asyncio.subprocess.Process, to_us: "ObjectSendStream[Any]", ended: "list[str]"
) -> None:
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter

    assert process.stdout is not None
    async with to_us:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                try:
                    line = await process.stdout.readline()
                except ValueError:  # longer than the limit
                    ended.append(_TOO_LONG)
                    return
                if not line:
                    return
                try:
                    message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                except ValueError as error:
                    await to_us.send(error)
                else:
                    await to_us.send(SessionMessage(message))


async def _write(process: asyncio.subprocess.Process, from_us: "ObjectReceiveStream[Any]") -> None:
    assert process.stdin is not None
    async with from_us:
        async for sent in from_us:
            text = sent.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(f"{text}\n".encode())
            with suppress(OSError):  # it has ended: the reader sees it, too
                await process.stdin.drain()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close its input, then end the whole group by signals, the last of which cannot be refused."""
    assert process.stdin is not None
    process.stdin.close()
    for number, seconds in ((None, _LEAVES_SECONDS), (signal.SIGTERM, _ENDS_SECONDS)):
        if number is not None:
            _signal(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await process.wait()
                break
    _signal(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(group, number)
        else:
            os.kill(group, number)
