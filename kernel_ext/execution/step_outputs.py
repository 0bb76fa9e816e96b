"""The outputs of one step: collected in order, bounded, passed on as they come. Knows no shell."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

from ...agent.protocol.cells import DisplayOutput, Output, StreamName, StreamOutput
from ...agent.protocol.verbatim_json import whole_text
from ...agent.text.lines import overwritten
from ..output_hooks import Change, Clear, Update, joined, put_update

MAX_STEP_CHARS = 10_000_000
"""Characters that one step may print. Further ones are dropped, with a note."""

MAX_STEP_DISPLAYS = 1_000
"""Displays that one step may make. Further ones are dropped, with a note."""


OutputSink = Callable[[Change], bool]
"""Receives each change at once, perhaps on another thread. False leaves it to the cell itself."""


class StepOutputs:
    """Gives each output to `take`. Printed text is gathered until a flush."""

    def __init__(self, take: OutputSink) -> None:
        self._take = take
        self._lock = threading.RLock()
        self._done: list[Output] = []
        self._text: list[str] = []
        self._name: StreamName = "stdout"
        self._room, self._places = MAX_STEP_CHARS, MAX_STEP_DISPLAYS
        self._clearing = False
        self._showing = threading.local()

    @property
    def showing(self) -> bool:
        """Whether outputs of this thread are the view's or the cell's, and must not be captured."""
        return getattr(self._showing, "now", False)

    def write(self, name: StreamName, text: str) -> None:
        """Add printed text, up to the limit."""
        with self._lock:
            if name != self._name:
                self.flush()
                self._name = name
            if self._room > 0:
                self._text.append(text[: self._room])
                self._room -= len(text)
                if self._room <= 0:
                    self._text.append(
                        f"\n[only the first {MAX_STEP_CHARS:,} characters are kept]\n"
                    )

    def add(self, output: Output) -> bool:
        """Add an output. Returns whether `take` took it."""
        output = _whole(output)
        with self._lock:
            self.flush()
            self._clear_at_last()
            self._places -= 1
            if self._places == 0:
                text = f"[only the first {MAX_STEP_DISPLAYS:,} displays are kept]\n"
                output = StreamOutput(name="stderr", text=text)
            elif self._places < 0:
                return True
            self._done.append(output)
            return self._give(output)

    def keep(self, output: Output) -> None:
        """Add an output that is shown elsewhere."""
        output = _whole(output)
        with self._lock:
            self.flush()
            self._done.append(output)

    def update(self, output: DisplayOutput) -> bool:
        """Replace the displays with its id. False if this step has none, or `take` declined."""
        output = _whole(output)
        with self._lock:
            return put_update(self._done, output) and self._give(Update(output))

    def shows(self, display_id: str | None) -> bool:
        """Whether this step has a display with that id."""
        with self._lock:
            displays = (it for it in self._done if isinstance(it, DisplayOutput))
            return any(it.display_id == display_id is not None for it in displays)

    def clear(self, wait: bool) -> None:
        """Forget all outputs: now, or when the next output comes."""
        with self._lock:
            self.flush()
            self._clearing = True
            if not wait:
                self._clear_at_last()

    def flush(self) -> None:
        """Pass on the text that was printed since the last flush."""
        with self._lock:
            text = whole_text("".join(self._text))
            self._text.clear()
            if text:
                self._clear_at_last()
                output = StreamOutput(name=self._name, text=text)
                self._done.append(output)
                self._give(output)

    def all(self) -> tuple[Output, ...]:
        """All outputs. Neighbours of one stream are joined, and a progress bar is one line."""
        with self._lock:
            done = joined(self._done)
        return tuple(
            replace(output, text=overwritten("", output.text))
            if isinstance(output, StreamOutput)
            else output
            for output in done
        )

    def aside(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function without capturing its outputs."""
        self._showing.now = True
        try:
            return function(*args, **kwargs)
        finally:
            self._showing.now = False

    def _clear_at_last(self) -> None:
        if self._clearing:
            self._clearing = False
            self._done.clear()
            self._give(Clear())

    def _give(self, change: Change) -> bool:
        return self.aside(self._take, change)


_Shown = TypeVar("_Shown", bound=Output)


def _whole(output: _Shown) -> _Shown:
    """The output with U+FFFD for lone surrogates, which no message to a front end can carry."""
    texts = ("text", "data", "ename", "evalue", "traceback")
    found = {name: getattr(output, name) for name in texts if hasattr(output, name)}
    return replace(output, **{name: _whole_texts(it) for name, it in found.items()})


def _whole_texts(value: Any) -> Any:
    match value:
        case str():
            return whole_text(value)
        case dict():
            held = cast("dict[Any, Any]", value)
            return {_whole_texts(key): _whole_texts(it) for key, it in held.items()}
        case list():
            return [_whole_texts(it) for it in cast("list[Any]", value)]
        case tuple():
            return tuple(_whole_texts(it) for it in cast("tuple[Any, ...]", value))
        case _:
            return value
