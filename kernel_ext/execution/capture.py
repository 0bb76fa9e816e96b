"""Captures the outputs of steps before they go out, and gives each to its step.

It is active during a turn. Outputs that belong to no step, or that a step's sink declines, go out
as usual. So do those within an Output widget of a step, which the step has as well.
"""

import contextvars
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Self, cast
from weakref import WeakKeyDictionary, WeakSet

from ...agent.protocol.cells import DisplayOutput, Output, StreamName, StreamOutput
from ...agent.protocol.policy import read_policy
from ...agent.text.masking import Mask
from ...widgets.render.outputs import can_show
from ..output_hooks import (
    Change,
    Clear,
    Function,
    OutputHooks,
    ReadChange,
    Update,
    hear_streams,
    put_update,
    stream_threads,
)
from ..shell import Shell
from ..user_cells.forked_prints import ForkedPrints
from .output_widgets import OutputWidgets
from .page_code import WITHHELD, is_of_a_library, runs_code
from .step_outputs import StepOutputs
from .ticker import Ticker

FORK_SECONDS = 5.0
"""Seconds that a forked child waits, at most, until the step hears it."""

MAX_WITHHELD_CHARS = 2_000
"""Characters of the plain text of an output that is not shown."""

MAX_NESTING = 100
"""Levels of a display's data that are kept, at most."""

_step: contextvars.ContextVar[StepOutputs | None] = contextvars.ContextVar("step", default=None)
"""The step whose code runs here. Tasks and callbacks that a step leaves behind inherit it."""


def is_of_step() -> bool:
    """Whether code of a step runs here, also of one that is over."""
    return _step.get() is not None


class OutputCapture:
    """Gives the outputs of one turn to its steps.

    An output belongs to the step in whose context it is made (so that tasks count), or that started
    its thread. Subprocesses write through a thread of the kernel, and forked children through a
    pipe. Both belong to the latest step.
    Outputs of the user's own threads and tasks are not captured.
    """

    def __init__(
        self,
        shell: Shell,
        mask: Mask | None = None,
        shown: set[str] | None = None,
        policy: str = "full",
    ) -> None:
        """`shown`: ids of displays in the blocks of steps, also of earlier turns. `policy`: of the
        turn. Only `full` lets code of a step run in the page."""
        self._shell = shell
        self._page_is_open = read_policy(policy).level == "full"
        self.mask = mask or Mask()
        self.ticker = Ticker()
        self.below: list[Output] | None = []
        """Displays of steps that the cell shows itself. None: it shows outputs of no step, too."""
        self.asked = False
        """Whether a question was put to the person below it."""
        self._shown = set[str]() if shown is None else shown
        self._active: StepOutputs | None = None
        self._latest: StepOutputs | None = None
        self._older = WeakSet[threading.Thread]()
        self._born = WeakKeyDictionary[threading.Thread, StepOutputs]()
        self._hooks = OutputHooks(self)
        self._widgets = OutputWidgets()
        self._open = False

    def __enter__(self) -> Self:
        self._forked = ForkedPrints(self._take_forked)
        self._hooks.open(self._shell)
        self._open = True
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        self.ticker.close()
        self._hooks.close()
        self._forked.close()

    @contextmanager
    def step(self, outputs: StepOutputs) -> Generator[None]:
        """Capture this context's outputs for a step. A thread flushes while the code computes."""

        def flush() -> None:
            self._forked.hear()
            outputs.flush()

        end = self.ticker.call(flush)  # from the first step on in its context: the turn's cell
        self._older = WeakSet(threading.enumerate())
        self._active = self._latest = outputs
        streams = sys.stdout, sys.stderr
        token = _step.set(outputs)
        try:
            yield
        finally:
            hear_streams()
            sys.stdout, sys.stderr = map(_usable, (sys.stdout, sys.stderr), streams)
            _step.reset(token)
            self._active = None
            for thread in threading.enumerate():
                if thread not in self._older:
                    self._born.setdefault(thread, outputs)
            end()
            flush()

    def is_ours(self) -> bool:
        """Whether the turn's own code runs here, and not that of its step. False after the turn."""
        return self._open and self.step_here() is None

    def step_here(self) -> StepOutputs | None:
        """The step whose code runs here, unless this thread is showing a captured output."""
        outputs = self._owner()
        return None if outputs is None or outputs.showing else outputs

    def _owner(self) -> StepOutputs | None:
        """The step that made an output of this context or thread."""
        if not self._open:  # somebody wrapped our patch, so it outlives the turn
            return None
        return _step.get() or self._of_thread()

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

    def _take_forked(self, name: StreamName, text: str) -> None:
        if self._latest is not None:
            self._latest.write(name, text)
            if self._latest is not self._active:
                self._latest.flush()

    def write(self, name: StreamName, original: Function) -> Function:
        """A `write` that captures a step's texts. Other texts go to the original."""

        def write(text: str, *args: Any, **kwargs: Any) -> int:
            outputs = self._owner()
            if outputs is None:
                self.below = None
            if outputs is None or outputs.showing:
                return original(text, *args, **kwargs)
            if self._forked.in_child():
                heard = self._forked.send(name, text, FORK_SECONDS)
                return len(text) if heard else original(text, *args, **kwargs)
            if self._widgets.take():
                outputs.keep(StreamOutput(name=name, text=text))
                return outputs.aside(original, self.mask.value(text), *args, **kwargs)
            outputs.write(name, text)
            if outputs is not self._active:  # its clock has stopped
                outputs.flush()
            return len(text)

        return write

    def show(self, read: ReadChange, original: Callable[[], Any]) -> Any:
        """Give the change to the step, and hide a prompt. Outside of a step, call the original."""
        outputs = self._owner()
        if outputs is None:
            self.below = None
        if outputs is None or outputs.showing or self._forked.in_child():
            return original()
        change = read()
        if change is None:
            return None
        if isinstance(change, DisplayOutput):
            change = _readable(change)
        elif isinstance(change, Update):
            change = Update(_readable(change.output))
        in_widget = self._widgets.take()
        if (withheld := self._withheld(change, in_widget)) is not None:
            outputs.write("stderr", withheld)
            return None
        if in_widget:
            if not isinstance(change, Update | Clear):
                outputs.keep(change)
        elif self._take(outputs, change):
            return None
        else:
            self._note_below(self.mask.value(change))
        masked = self.mask.value(change)
        return outputs.aside(original if masked is change else partial(self._publish, masked))

    def _withheld(self, change: Change, in_widget: bool) -> str | None:
        """The text in place of an output with code for the page. A view takes it out itself."""
        output = change.output if isinstance(change, Update) else change
        if self._page_is_open or not isinstance(output, DisplayOutput):
            return None
        if (can_show(output.data) and not in_widget) or not runs_code(output.data):
            return None
        text = str(output.data.get("text/plain", ""))[:MAX_WITHHELD_CHARS]
        return None if is_of_a_library() else f"{text}\n{WITHHELD}"

    def _take(self, outputs: StepOutputs, change: Change) -> bool:
        """Whether the step takes the change."""
        match change:
            case Clear(wait):
                outputs.clear(wait)
                return True
            case Update(output):
                return self._update(outputs, output)
            case output:
                taken = outputs.add(output)
                if taken and isinstance(output, DisplayOutput) and output.display_id:
                    self._shown.add(output.display_id)
                return taken

    def _note_below(self, change: Change) -> None:
        if self.below is None:
            return
        match change:
            case Update(output):
                put_update(self.below, output)
            case DisplayOutput() as output:
                self.below.append(output)
            case _:
                pass

    def _update(self, outputs: StepOutputs, output: DisplayOutput) -> bool:
        """Update a display of this step. One of an earlier step is shown anew, in this one."""
        anew = output.display_id in self._shown and not outputs.shows(output.display_id)
        return outputs.add(output) if anew else outputs.update(output)

    def _publish(self, change: Change) -> None:
        """Show a display, in place of one that has a key."""
        output = change.output if isinstance(change, Update) else change
        if isinstance(output, DisplayOutput):
            cast("Any", self._shell.display_pub).publish(
                data=output.data,
                metadata=output.metadata,
                transient={"display_id": output.display_id} if output.display_id else {},
                update=isinstance(change, Update),
            )


def _usable(stream: Any, before: Any) -> Any:
    """The stream that code put in the place of `before`, if IPython can run a cell with it."""
    if stream is before:
        return stream
    try:
        write, had = stream.write, "write" in vars(stream)
        stream.write = write
        if not had:
            del stream.write
    except (AttributeError, TypeError):  # IPython 9 replaces `write` while a cell runs
        return before
    return stream


def _readable(output: DisplayOutput) -> DisplayOutput:
    return replace(output, data={str(kind): _textual(it) for kind, it in output.data.items()})


def _textual(value: Any) -> Any:
    """Images may still be bytes here. In messages and in notebooks they are base64.

    Data nested deeper than any plot is replaced, since later code could not read it.
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
