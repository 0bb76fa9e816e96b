"""What running code puts out, taken as it comes. Knows neither who runs it nor who shows it.

Attributes that every IPython shell has are tapped on the instance: the streams' `write`,
`display_pub.publish`, `displayhook.write_format_data`, `_showtraceback`. What is taken does not
reach the cell itself, unless its receiver declines it.
"""

import contextvars
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Literal

from ..agent.cells import DisplayOutput, ErrorOutput, Output, StreamOutput
from .shell import Shell

TICK = 0.05
"""Seconds between two looks at what running code has printed."""

MAX_TEXT = 10_000_000
"""Characters that one run may print; what comes after is dropped, and that is said."""

Take = Callable[[Output], bool]
"""Receives each output at once, perhaps on another thread; False leaves it to the cell itself."""

_Stream = Literal["stdout", "stderr"]
_Function = Callable[..., Any]
_Tap = Callable[[_Function], _Function]


class Outputs:
    """Collects outputs in order; gives each to `take`, printed text gathered for a tick."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._lock = threading.RLock()
        self._done: list[Output] = []
        self._text: list[str] = []
        self._name: _Stream = "stdout"
        self._room = MAX_TEXT
        self._showing = threading.local()

    @property
    def showing(self) -> bool:
        """What this thread writes is the view's or the cell's own, and not to be taken again."""
        return getattr(self._showing, "now", False)

    def write(self, name: _Stream, text: str) -> None:
        """Take printed text, up to the bound."""
        with self._lock:
            if name != self._name:
                self.flush()
                self._name = name
            if self._room > 0:
                self._text.append(text[: self._room])
                self._room -= len(text)
                if self._room <= 0:
                    self._text.append(f"\n[only the first {MAX_TEXT:,} characters are kept]\n")

    def add(self, output: Output) -> bool:
        """Whether it was taken."""
        with self._lock:
            self.flush()
            self._done.append(output)
            return self._give(output)

    def flush(self) -> None:
        """Give what was printed since the last time."""
        with self._lock:
            text = "".join(self._text)
            self._text.clear()
            if text:
                output = StreamOutput(name=self._name, text=text)
                self._done.append(output)
                self._give(output)

    def all(self) -> tuple[Output, ...]:
        """Every output, neighbours of one stream joined."""
        joined: list[Output] = []
        for name, group in groupby(self._done, _stream_name):
            if name is None:
                joined.extend(group)
            else:
                text = "".join(output.text for output in group if isinstance(output, StreamOutput))
                joined.append(StreamOutput(name=name, text=text))
        return tuple(joined)

    def leave(self, original: _Function, *args: Any, **kwargs: Any) -> None:
        """Let the cell itself show what was declined."""
        self._aside(original, *args, **kwargs)

    def _give(self, output: Output) -> bool:
        return self._aside(self._take, output)

    def _aside(self, function: _Function, *args: Any, **kwargs: Any) -> Any:
        self._showing.now = True
        try:
            return function(*args, **kwargs)
        finally:
            self._showing.now = False


def _stream_name(output: Output) -> _Stream | None:
    return output.name if isinstance(output, StreamOutput) else None


@contextmanager
def tapped(shell: Shell, outputs: Outputs) -> Generator[None]:
    """Taps in place, and a clock that shows what was printed while the code computes."""
    hook = shell.displayhook
    stop = threading.Event()

    def tick() -> None:
        while not stop.wait(TICK):
            outputs.flush()

    context = contextvars.copy_context()  # so that what is shown goes to this cell
    clock = threading.Thread(target=context.run, args=(tick,), name="inkernel-clock", daemon=True)
    taps: list[tuple[object, str, _Tap]] = [
        (sys.stdout, "write", _write_tap(outputs, "stdout")),
        (sys.stderr, "write", _write_tap(outputs, "stderr")),
        (shell.display_pub, "publish", _publish_tap(outputs)),
        (hook, "write_format_data", _result_tap(outputs)),
        (hook, "write_output_prompt", _silent),
        (hook, "update_user_ns", _silent),
        (shell, "_showtraceback", _error_tap(outputs)),
    ]
    restore: list[tuple[object, str, bool, Any]] = []
    clock.start()
    try:
        for owner, name, tap in taps:
            original = getattr(owner, name)
            restore.append((owner, name, name in vars(owner), original))
            object.__setattr__(owner, name, tap(original))
        yield
    finally:
        for owner, name, own, original in reversed(restore):
            if own:
                object.__setattr__(owner, name, original)
            else:
                object.__delattr__(owner, name)
        stop.set()
        clock.join()
        outputs.flush()


def _write_tap(outputs: Outputs, name: _Stream) -> _Tap:
    def tap(original: _Function) -> _Function:
        def write(text: str, *args: Any, **kwargs: Any) -> int:
            if outputs.showing:
                return original(text, *args, **kwargs)
            outputs.write(name, text)
            return len(text)

        return write

    return tap


def _publish_tap(outputs: Outputs) -> _Tap:
    def tap(original: _Function) -> _Function:
        def publish(data: Any, metadata: Any = None, *args: Any, **kwargs: Any) -> None:
            if outputs.showing or not outputs.add(_display(data, metadata)):
                outputs.leave(original, data, metadata, *args, **kwargs)

        return publish

    return tap


def _result_tap(outputs: Outputs) -> _Tap:
    def tap(original: _Function) -> _Function:
        def write_format_data(format_dict: Any, md_dict: Any = None) -> None:
            if not outputs.add(_display(format_dict, md_dict, result=True)):
                outputs.leave(original, format_dict, md_dict)

        return write_format_data

    return tap


def _error_tap(outputs: Outputs) -> _Tap:
    def tap(original: _Function) -> _Function:
        def show(etype: type[BaseException], evalue: BaseException, stb: list[str]) -> None:
            lines = tuple(map(str, stb))
            output = ErrorOutput(ename=etype.__name__, evalue=str(evalue), traceback=lines)
            if not outputs.add(output):
                outputs.leave(original, etype, evalue, stb)

        return show

    return tap


def _silent(_original: _Function) -> _Function:
    def nothing(*_args: Any) -> None:
        return

    return nothing


def _display(data: Any, metadata: Any, result: bool = False) -> DisplayOutput:
    return DisplayOutput(
        data={kind: _textual(value) for kind, value in data.items()},
        metadata=dict(metadata or {}),
        result=result,
    )


def _textual(value: Any) -> Any:
    """Images may still be bytes here; on the wire, and in a notebook, they are base64."""
    return b64encode(value).decode("ascii") if isinstance(value, bytes) else value
