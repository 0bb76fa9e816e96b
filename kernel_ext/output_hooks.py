"""Puts a sink in front of the seven functions by which a shell sends outputs. Keeps nothing.

It patches attributes of instances that every IPython shell has: the streams' `write`,
`display_pub.publish` and `clear_output`, the hook's `write_format_data` and `write_output_prompt`,
`_showtraceback`.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, MutableSequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..agent.protocol.cells import DisplayOutput, ErrorOutput, Output, StreamName, StreamOutput
from ..agent.text.tracebacks import without_frames
from .shell import Shell

DRAIN_SECONDS = 0.2
"""Most seconds that a run waits for what its subprocesses wrote."""

BETWEEN = (
    *("agent/dispatch/from_code.py", "kernel_ext/functions/live.py"),
    *("kernel_ext/sandbox/guard.py", "kernel_ext/sandbox/copy_life.py"),
    "kernel_ext/execution/stdin.py",
)
"""Files of ours between code and the errors that it gets from us. Their frames say nothing."""
_OURS = frozenset(str(Path(__file__).parents[1] / it) for it in BETWEEN)
_ABSENT = object()

Function = Callable[..., Any]


class Update(NamedTuple):
    """The display under `output.display_id` becomes this."""

    output: DisplayOutput


class Clear(NamedTuple):
    """All outputs shown so far are removed: now, or with `wait` when the next output comes."""

    wait: bool = False


Change = Output | Update | Clear

ReadChange = Callable[[], Change | None]
"""Reads the change from a call that shows something. None: the call shows a prompt."""


class Sink(Protocol):
    """Receives outputs before they go out."""

    def write(self, name: StreamName, original: Function) -> Function:
        """The function that replaces the stream's `write`."""
        ...

    def show(self, read: ReadChange, original: Callable[[], Any]) -> Any:
        """Take the change, or call the original, which sends it out, or do both."""
        ...


class OutputHooks:
    """The patches. They are in place from `open` to `close`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._patches: list[tuple[object, str, object, Function]] = []

    def open(self, shell: Shell) -> None:
        """Patch the seven functions."""
        publisher, hook = shell.display_pub, shell.displayhook
        self._patch(sys.stdout, "write", partial(self._sink.write, "stdout"))
        if sys.stderr is not sys.stdout:
            self._patch(sys.stderr, "write", partial(self._sink.write, "stderr"))
        self._patch(publisher, "publish", self._shown_as(_published))
        self._patch(publisher, "clear_output", self._shown_as(Clear))
        self._patch(hook, "write_output_prompt", self._shown_as(_prompted))
        self._patch(hook, "write_format_data", self._shown_as(_resulted))
        self._patch(shell, "_showtraceback", self._shown_as(_failed))

    def close(self) -> None:
        """Remove the patches. One that somebody has wrapped meanwhile stays."""
        for owner, name, before, ours in reversed(self._patches):
            if vars(owner).get(name) is not ours:
                continue
            if before is _ABSENT:
                object.__delattr__(owner, name)
            else:
                object.__setattr__(owner, name, before)
        self._patches.clear()

    def _patch(self, owner: object, name: str, patch: Callable[[Function], Function]) -> None:
        if not hasattr(owner, "__dict__"):  # a program without a console has no streams
            return
        ours = patch(getattr(owner, name))
        self._patches.append((owner, name, vars(owner).get(name, _ABSENT), ours))
        object.__setattr__(owner, name, ours)

    def _shown_as(self, read: Callable[..., Change | None]) -> Callable[[Function], Function]:
        def patch(original: Function) -> Function:
            def call(*args: Any, **kwargs: Any) -> Any:
                calling = partial(original, *args, **kwargs)
                return self._sink.show(partial(read, *args, **kwargs), calling)

            return call

        return patch


def stream_threads() -> list[threading.Thread]:
    """The kernel's threads that pass on the output of subprocesses."""
    threads = (getattr(stream, "watch_fd_thread", None) for stream in (sys.stdout, sys.stderr))
    return [thread for thread in threads if thread is not None]


def hear_streams() -> None:
    """Wait until the kernel's threads have passed on what was written to their descriptors."""
    streams = [it for it in (sys.stdout, sys.stderr) if isinstance(getattr(it, "_fid", None), int)]
    over = time.monotonic() + DRAIN_SECONDS
    while any(passing := [_is_passing_on(it) for it in streams]) and time.monotonic() < over:
        time.sleep(0.001)
    if None in passing:
        time.sleep(0.001)


def joined(outputs: Iterable[Output]) -> list[Output]:
    """The outputs, with neighbours of one stream joined into one."""
    found: list[Output] = []
    for name, group in groupby(outputs, _stream_name):
        if name is None:
            found.extend(group)
        else:
            text = "".join(each.text for each in group if isinstance(each, StreamOutput))
            found.append(StreamOutput(name=name, text=text))
    return found


def put_update(outputs: MutableSequence[Output], new: DisplayOutput) -> bool:
    """Replace each display that has its id. Returns whether there is any."""
    found = False
    for place, it in enumerate(outputs):
        if isinstance(it, DisplayOutput) and it.display_id == new.display_id is not None:
            outputs[place], found = new, True
    return found


def _is_passing_on(stream: Any) -> bool | None:
    """Whether there is something to read, or the thread that read it has not yet written it.

    None: there is nothing to read, and the system does not tell of the thread. Only Linux does.
    """
    import fcntl
    import termios

    pipe, thread = stream._fid, stream.watch_fd_thread
    if any(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))):
        return True
    try:
        file = os.open(f"/proc/self/task/{thread.native_id}/syscall", os.O_RDONLY)
        try:
            call = os.read(file, 200).split()
        finally:
            os.close(file)
    except OSError:
        return None
    return thread.is_alive() and call[1:2] != [b"%#x" % pipe]  # else it waits in `read`


def _stream_name(output: Output) -> StreamName | None:
    return output.name if isinstance(output, StreamOutput) else None


def _published(
    data: Any,
    metadata: Any = None,
    *_more: Any,
    transient: Any = None,
    update: bool = False,
    **_named: Any,
) -> Change:
    named: dict[str, Any] = transient or {}
    output = DisplayOutput(
        data=dict(data), metadata=dict(metadata or {}), display_id=named.get("display_id")
    )
    return Update(output) if update else output


def _resulted(format_dict: Any, md_dict: Any = None, *_more: Any) -> Change:
    return DisplayOutput(data=dict(format_dict), metadata=dict(md_dict or {}), result=True)


def _failed(etype: type[BaseException], evalue: BaseException, stb: list[str]) -> Change:
    try:
        message = str(evalue)
    except Exception:  # the user's own class may fail here
        message = ""
    texts = without_frames(tuple(map(str, stb)), lambda path: os.path.expanduser(path) in _OURS)
    return ErrorOutput(ename=etype.__name__, evalue=message, traceback=texts)


def _prompted() -> None:
    return
