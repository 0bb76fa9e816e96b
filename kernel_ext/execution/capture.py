"""Takes the outputs of steps before they are out, and leads each to its step.

In place for a turn. Outputs of no step, and those that a step's receiver declines, go the usual
way.
"""

import contextvars
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Self, cast
from weakref import WeakKeyDictionary, WeakSet

from ...agent.protocol.cells import DisplayOutput, StreamName
from ..output_hooks import Clear, Function, OutputHooks, ReadChange, Update, stream_threads
from ..shell import Shell
from .step_outputs import StepOutputs

FLUSH_SECONDS = 0.05
"""Seconds between two looks at what running code has printed."""

DRAIN_SECONDS = 0.2
"""Most seconds a step waits for what its subprocesses wrote."""

MAX_NESTING = 100
"""Levels of a display's data that are kept."""

_step: contextvars.ContextVar[StepOutputs | None] = contextvars.ContextVar("step", default=None)
"""Whose code runs here. Tasks and callbacks that a step leaves behind inherit it."""


class OutputCapture:
    """Where the outputs of one turn's steps go.

    An output is of the step in whose context it is made (so that tasks count), or that started its
    thread. What subprocesses write comes through a thread of the kernel's: it is of the latest
    step. What the person's own threads and tasks put out meanwhile is not taken.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._active: StepOutputs | None = None
        self._latest: StepOutputs | None = None
        self._older = WeakSet[threading.Thread]()
        self._born = WeakKeyDictionary[threading.Thread, StepOutputs]()
        self._hooks = OutputHooks(self)
        self._open = False

    def __enter__(self) -> Self:
        self._hooks.open(self._shell)
        self._open = True
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._hooks.close()

    @contextmanager
    def step(self, outputs: StepOutputs) -> Generator[None]:
        """What this context puts out is that step's; a clock gives it while the code computes."""
        stop = threading.Event()

        def tick() -> None:
            while not stop.wait(FLUSH_SECONDS):
                outputs.flush()

        context = contextvars.copy_context()  # so that what is shown goes to this cell
        clock = threading.Thread(target=context.run, args=(tick,), daemon=True)
        clock.name = "inkernel-clock"
        clock.start()
        self._older = WeakSet(threading.enumerate())
        self._active = self._latest = outputs
        token = _step.set(outputs)
        try:
            yield
        finally:
            _hear_subprocesses()
            _step.reset(token)
            self._active = None
            for thread in threading.enumerate():
                if thread not in self._older:
                    self._born.setdefault(thread, outputs)
            stop.set()
            clock.join()
            outputs.flush()

    def _of_step(self) -> StepOutputs | None:
        """The step whose code runs here, unless what it shows is not its own."""
        if not self._open:  # somebody has wrapped our patch
            return None
        outputs = _step.get() or self._of_thread()
        return None if outputs is None or outputs.showing else outputs

    def _of_thread(self) -> StepOutputs | None:
        if threading.get_ident() == threading.main_thread().ident:
            return None
        thread = threading.current_thread()
        if outputs := self._born.get(thread):
            return outputs
        if thread in stream_threads():
            return self._latest
        if self._active is not None and thread not in self._older:
            self._born[thread] = self._active
            return self._active
        return None

    def write(self, name: StreamName, original: Function) -> Function:
        """A `write` whose texts are the step's; elsewhere it is the original."""

        def write(text: str, *args: Any, **kwargs: Any) -> int:
            outputs = self._of_step()
            if outputs is None:
                return original(text, *args, **kwargs)
            outputs.write(name, text)
            if outputs is not self._active:  # its clock has stopped
                outputs.flush()
            return len(text)

        return write

    def show(self, read: ReadChange, original: Callable[[], Any]) -> Any:
        """The step takes the change, and a prompt is not shown; elsewhere call the original."""
        outputs = self._of_step()
        if outputs is None:
            return original()
        match read():
            case None:
                return None
            case Clear(wait):
                outputs.clear(wait)
                return None
            case Update(output):
                taken = outputs.update(_readable(output))
            case DisplayOutput() as output:
                taken = outputs.add(_readable(output))
            case output:
                taken = outputs.add(output)
        return None if taken else outputs.aside(original)


def _hear_subprocesses() -> None:
    """Wait until the kernel's threads have passed on what subprocesses wrote."""
    pipes = [getattr(stream, "_fid", None) for stream in (sys.stdout, sys.stderr)]
    watched = [pipe for pipe in pipes if isinstance(pipe, int)]
    if not watched:
        return
    over = time.monotonic() + DRAIN_SECONDS
    while any(map(_has_more, watched)) and time.monotonic() < over:
        time.sleep(0.001)
    time.sleep(0.001)  # what was read is written as soon as its thread has its turn


def _has_more(pipe: int) -> bool:
    import fcntl
    import termios

    waiting = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
    return any(waiting)


def _readable(output: DisplayOutput) -> DisplayOutput:
    return replace(output, data={str(kind): _textual(it) for kind, it in output.data.items()})


def _textual(value: Any) -> Any:
    """Images may still be bytes here; on the wire, and in a notebook, they are base64.

    What is nested deeper than any plot could be read by nobody further on.
    """
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    return "(nested too deeply)" if _is_deeper(value, MAX_NESTING) else value


def _is_deeper(value: object, levels: int) -> bool:
    match value:
        case dict():
            inner = list(cast("dict[str, object]", value).values())
        case list():
            inner = cast("list[object]", value)
        case _:
            return False
    return not levels or any(_is_deeper(each, levels - 1) for each in inner)
