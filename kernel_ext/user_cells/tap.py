"""Copies what a cell shows as it passes, and changes nothing of it. Knows neither cell nor log."""

import threading
from collections.abc import Callable
from threading import get_ident
from typing import Any

from ...agent.protocol.cells import Output, StreamName, StreamOutput
from ..output_hooks import Clear, Function, OutputHooks, ReadChange, Update, stream_threads
from ..shell import Shell
from .buffer import OutputBuffer

MAX_GATHERED_WRITES = 4_000
"""Writes that are gathered before they are sorted into what is kept."""
LONG_WRITE_CHARS = 1_000
"""Characters of a write that is sorted in at once."""


class OutputTap:
    """In place from `open` to `close`. `on_bug` is called while an exception of ours is handled.

    What threads older than the tap show belongs to the cells that started them.
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

    def open(self, shell: Shell) -> None:
        """See what passes from now on."""
        self._open = True
        self._hooks.open(shell)

    def close(self) -> None:
        """See nothing more, also where somebody has wrapped our patch."""
        self._open = False
        self._hooks.close()

    def shown(self) -> list[Output]:
        """What passed."""
        self._sort()
        return self._kept.all()

    def write(self, name: StreamName, original: Function) -> Function:
        """A `write` that gathers what it has written."""
        printed, deaf = self._printed, self._deaf

        def write(text: str, *args: Any, **kwargs: Any) -> Any:
            # print gives the text alone, and passing on nothing costs as much as all the rest
            more = args or kwargs
            written = original(text, *args, **kwargs) if more else original(text)
            if get_ident() not in deaf:
                if name is not self._stream:
                    self._guarded(self._turn, name)
                printed.append(text)
                if len(printed) > MAX_GATHERED_WRITES or len(text) > LONG_WRITE_CHARS:
                    self._guarded(self._sort)
            return written

        return write

    def show(self, read: ReadChange, original: Callable[[], Any]) -> Any:
        """Let the call do its work unheard (in a terminal it prints), then keep its output."""
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
        """The cell goes on, whatever happens to us."""
        if not self._open:  # a patch that somebody keeps
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
        match read():
            case None:
                return
            case Clear(wait):
                self._kept.clear(wait)
            case Update(output):
                self._kept.update(output)
            case output:
                self._kept.add(output)


def _older_threads() -> set[int]:
    """Threads that run already, but for this one and those that read what programs write."""
    heard = {get_ident(), *(thread.ident for thread in stream_threads())}
    return {thread.ident for thread in threading.enumerate() if thread.ident} - heard
