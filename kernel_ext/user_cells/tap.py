"""Copies the outputs of a cell as they pass, without changing them. Knows neither cell nor log."""

import threading
from collections.abc import Callable
from threading import get_ident
from typing import Any

from ...agent.protocol.cells import Output, StreamName, StreamOutput
from ..output_hooks import (
    Change,
    Clear,
    Function,
    OutputHooks,
    ReadChange,
    Update,
    hear_streams,
    stream_threads,
)
from ..shell import Shell
from .buffer import OutputBuffer
from .forked_prints import ForkedPrints

MAX_GATHERED_WRITES = 4_000
"""Writes that are gathered before they go into the buffer."""
LONG_WRITE_CHARS = 1_000
"""Characters. A longer write goes into the buffer at once."""


class OutputTap:
    """Active from `open` to `close`. `on_bug` is called while it handles an exception of ours.

    Outputs of threads older than the tap belong to the cells that started them.
    """

    def __init__(self, on_bug: Callable[[], None]) -> None:
        self._on_bug = on_bug
        self._kept = OutputBuffer()
        self._stream: StreamName = "stdout"
        self._printed: list[str] = []  # to that stream
        self._lock = threading.RLock()
        self._deaf = _older_threads()
        self._open = False
        self._hooks = OutputHooks(self)
        self._forked = ForkedPrints(self._take_forked)

    def open(self, shell: Shell) -> None:
        """Copy outputs from now on."""
        self._open = True
        self._hooks.open(shell)

    def close(self) -> None:
        """Copy what is on its way, and then nothing, even if somebody has wrapped our patch."""
        try:
            if self._open:
                hear_streams()
        finally:  # a second interrupt may come
            self._open = False
            self._hooks.close()
            self._forked.close()

    def shown(self) -> list[Output]:
        """The copied outputs."""
        self._sort()
        return self._kept.all()

    def write(self, name: StreamName, original: Function) -> Function:
        """A `write` that also gathers its text."""
        printed, deaf, forked = self._printed, self._deaf, self._forked

        def write(text: str, *args: Any, **kwargs: Any) -> Any:
            # print gives the text alone, and passing empty arguments would double the cost
            more = args or kwargs
            written = original(text, *args, **kwargs) if more else original(text)
            if get_ident() not in deaf:
                if forked.in_child():
                    forked.send(name, text, 0)
                    return written
                if name is not self._stream:
                    self._guarded(self._turn, name)
                printed.append(text)
                if len(printed) > MAX_GATHERED_WRITES or len(text) > LONG_WRITE_CHARS:
                    self._guarded(self._sort)
            return written

        return write

    def _take_forked(self, name: StreamName, text: str) -> None:
        if name is not self._stream:
            self._turn(name)
        self._printed.append(text)

    def show(self, read: ReadChange, original: Callable[[], Any]) -> Any:
        """Call the original without copying its prints (in a terminal). Then keep the output."""
        thread = get_ident()
        if not self._open or thread in self._deaf:
            return original()
        self._deaf.add(thread)
        try:
            done = original()
        finally:
            self._deaf.discard(thread)
        self._guarded(self._keep, read)
        return done

    def _guarded(self, take: Function, *args: Any) -> None:
        """Run our own code so that the cell goes on after a bug in it."""
        if not self._open:  # somebody keeps our patch
            self._printed.clear()
            return
        try:
            with self._lock:
                take(*args)
        except Exception:
            self._open = False
            self._on_bug()

    def _turn(self, name: StreamName) -> None:
        self._sort()
        self._stream = name

    def _sort(self) -> None:
        count = len(self._printed)  # another thread may print on
        text = "".join(self._printed[:count])
        del self._printed[:count]
        if text:
            self._kept.add(StreamOutput(name=self._stream, text=text))

    def _keep(self, read: ReadChange) -> None:
        self._sort()
        try:
            self._put(read())
        except Exception as error:  # of data that the person's code made
            lost = f"[an output that is not kept: {type(error).__name__}]\n"
            self._kept.add(StreamOutput(name="stderr", text=lost))

    def _put(self, change: Change | None) -> None:
        match change:
            case None:
                return
            case Clear(wait):
                self._kept.clear(wait)
            case Update(output):
                self._kept.update(output)
            case output:
                self._kept.add(output)


def _older_threads() -> set[int]:
    """The running threads, without this one and those that read the output of subprocesses."""
    heard = {get_ident(), *(thread.ident for thread in stream_threads())}
    return {thread.ident for thread in threading.enumerate() if thread.ident} - heard
