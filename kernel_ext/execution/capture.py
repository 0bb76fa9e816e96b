"""Takes what steps put out where the shell lets it out, and leads each output to its step.

In place for a turn. Attributes that every IPython shell has are tapped on the instance: the
streams' `write`, `display_pub.publish` and `clear_output`, `displayhook.write_format_data`,
`_showtraceback`. What no step made, and what a step's receiver declines, goes the usual way.
"""

import contextvars
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Self, cast
from weakref import WeakKeyDictionary, WeakSet

from ...agent.protocol.cells import DisplayOutput, ErrorOutput
from ..shell import Shell
from .step_outputs import StepOutputs, StreamName

FLUSH_SECONDS = 0.05
"""Seconds between two looks at what running code has printed."""

DRAIN_SECONDS = 0.2
"""Most seconds a step waits for what its subprocesses wrote."""

MAX_NESTING = 100
"""Levels of a display's data that are kept."""

_Function = Callable[..., Any]
_Tap = Callable[[_Function], _Function]

_step: contextvars.ContextVar[StepOutputs | None] = contextvars.ContextVar("step", default=None)
"""Whose code runs here. Tasks and callbacks that a step leaves behind inherit it."""


class OutputCapture:
    """The taps of one turn.

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
        self._patches: list[tuple[object, str, bool, Any]] = []

    def __enter__(self) -> Self:
        hook = self._shell.displayhook
        taps: list[tuple[object, str, _Tap]] = [
            (sys.stdout, "write", self._write_tap("stdout")),
            (sys.stderr, "write", self._write_tap("stderr")),
            (self._shell.display_pub, "publish", self._publish_tap),
            (self._shell.display_pub, "clear_output", self._clear_tap),
            (hook, "write_format_data", self._result_tap),
            (hook, "write_output_prompt", self._prompt_tap),
            (self._shell, "_showtraceback", self._error_tap),
        ]
        for owner, name, tap in taps:
            original = getattr(owner, name)
            self._patches.append((owner, name, name in vars(owner), original))
            object.__setattr__(owner, name, tap(original))
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, own, original in reversed(self._patches):
            if own:
                object.__setattr__(owner, name, original)
            else:
                object.__delattr__(owner, name)
        self._patches.clear()

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
        outputs = _step.get() or self._of_thread()
        return None if outputs is None or outputs.showing else outputs

    def _of_thread(self) -> StepOutputs | None:
        if threading.get_ident() == threading.main_thread().ident:
            return None
        thread = threading.current_thread()
        if outputs := self._born.get(thread):
            return outputs
        if thread in (getattr(it, "watch_fd_thread", None) for it in (sys.stdout, sys.stderr)):
            return self._latest
        if self._active is not None and thread not in self._older:
            self._born[thread] = self._active
            return self._active
        return None

    def _write_tap(self, name: StreamName) -> _Tap:
        def tap(original: _Function) -> _Function:
            def write(text: str, *args: Any, **kwargs: Any) -> int:
                outputs = self._of_step()
                if outputs is None:
                    return original(text, *args, **kwargs)
                outputs.write(name, text)
                if outputs is not self._active:  # its clock has stopped
                    outputs.flush()
                return len(text)

            return write

        return tap

    def _publish_tap(self, original: _Function) -> _Function:
        def publish(data: Any, metadata: Any = None, *args: Any, **kwargs: Any) -> None:
            outputs = self._of_step()
            if outputs is None:
                original(data, metadata, *args, **kwargs)
                return
            transient: dict[str, Any] = kwargs.get("transient") or {}
            shown = _display(data, metadata, display_id=transient.get("display_id"))
            take = outputs.update if kwargs.get("update") else outputs.add
            if not take(shown):
                outputs.aside(original, data, metadata, *args, **kwargs)

        return publish

    def _clear_tap(self, original: _Function) -> _Function:
        def clear_output(wait: bool = False) -> None:
            outputs = self._of_step()
            if outputs is None:
                original(wait)
            else:
                outputs.clear(wait)

        return clear_output

    def _result_tap(self, original: _Function) -> _Function:
        def write_format_data(format_dict: Any, md_dict: Any = None) -> None:
            outputs = self._of_step()
            if outputs is None:
                original(format_dict, md_dict)
            elif not outputs.add(_display(format_dict, md_dict, result=True)):
                outputs.aside(original, format_dict, md_dict)

        return write_format_data

    def _prompt_tap(self, original: _Function) -> _Function:
        def write_output_prompt() -> None:
            if self._of_step() is None:
                original()

        return write_output_prompt

    def _error_tap(self, original: _Function) -> _Function:
        def show(etype: type[BaseException], evalue: BaseException, stb: list[str]) -> None:
            outputs = self._of_step()
            if outputs is None:
                original(etype, evalue, stb)
                return
            lines = tuple(map(str, stb))
            output = ErrorOutput(ename=etype.__name__, evalue=_message(evalue), traceback=lines)
            if not outputs.add(output):
                outputs.aside(original, etype, evalue, stb)

        return show


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


def _display(
    data: Any, metadata: Any, *, result: bool = False, display_id: str | None = None
) -> DisplayOutput:
    return DisplayOutput(
        data={kind: _textual(value) for kind, value in data.items()},
        metadata=dict(metadata or {}),
        result=result,
        display_id=display_id,
    )


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


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the person's own class
        return ""
