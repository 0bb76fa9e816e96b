"""A turn in a notebook: painted while it runs, then left as a static form. Knows no loop."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from ...agent.protocol.events import (
    ApprovalNeeded,
    Compacted,
    Compacting,
    Event,
    Retrying,
    ToolEnded,
    ToolStarted,
    TurnEnded,
    TurnStarted,
)
from ..render.html import block_html, bundle, footer_html, header_html, metadata, turn_html
from ..state.blocks import Block, CompactionBlock, Note, StepBlock
from ..state.fold import TurnState, fold
from .repaint import Clock, Pace

_AT_ONCE = (
    *(TurnStarted, ApprovalNeeded, ToolStarted, ToolEnded),
    *(Retrying, Compacting, Compacted, TurnEnded),
)
_WIDGET = "application/vnd.jupyter.widget-view+json"
_STATIC = Path(__file__).parent / "static"


class Screen(Protocol):
    """Where a running turn is painted."""

    def paint(self, state: TurnState) -> int:
        """Show `state`; return how many characters were sent."""
        ...

    def tick(self, state: TurnState) -> float | None:
        """Seconds until the screen is to be painted though nothing happens; None for never."""
        ...

    def leave(self, state: TurnState) -> None:
        """Show the form that stays."""
        ...


class NotebookView:
    """A view of one turn on a screen, repainted at most `rate` times a second.

    What a reader waits for (a step or a wait starts or ends, a question, the end) is painted at
    once.
    """

    def __init__(self, screen: Screen, *, rate: float = 20, clock: Clock = time) -> None:
        self._screen = screen
        self._state: TurnState | None = None
        self._running: set[str] = set()
        self._closed = False
        self._pace = Pace(self._paint, rate, clock)

    def show(self, event: Event) -> None:
        """Take an event in. Safe from code the agent runs, and from that code's threads."""
        with self._pace.lock:
            if self._closed:
                return
            self._state = fold(self._state, event)
            if isinstance(event, ToolStarted):
                self._running.add(event.call_id)
            elif isinstance(event, ToolEnded):
                self._running.discard(event.call_id)
            self._pace.ask(at_once=isinstance(event, _AT_ONCE), loop_is_free=not self._running)

    def close(self) -> None:
        """Leave the static form. Further calls, and further events, do nothing."""
        with self._pace.lock:
            self._pace.stop()
            if self._state is not None and not self._closed:
                self._closed = True
                self._screen.leave(self._state)

    def _paint(self) -> int:
        if self._state is None or self._closed:  # a thread may come too late
            return 0
        sent = self._screen.paint(self._state)
        if (seconds := self._screen.tick(self._state)) is not None:
            self._pace.again(seconds)
        return sent


class LiveScreen:
    """A widget that is sent each block only when it changed; its script keeps the clocks."""

    def __init__(self, *, timing: bool = True, clock: Clock = time) -> None:
        self._timing = timing
        self._clock = clock
        self._output = _Output()
        self._widget: Any = None
        self._drawn: tuple[Block, ...] = ()
        self._since: dict[str, int] = {}

    def paint(self, state: TurnState) -> int:
        """Send what changed, in one message."""
        now = round(self._clock.time() * 1000)
        began = self._since.setdefault("", now)
        painted: dict[str, Any] = {} if self._widget is None else self._widget.painted
        fresh = {
            "header": header_html(state),
            **self._blocks(state, now),
            "footer": footer_html(state, self._timing, began),
            "count": len(state.blocks),
        }
        changed = {key: value for key, value in fresh.items() if painted.get(key) != value}
        self._drawn = state.blocks
        if changed:
            self._send(changed | {"now": now})
        return sum(len(value) for value in changed.values() if isinstance(value, str))

    def tick(self, state: TurnState) -> float | None:
        """Never: its script does."""
        return None

    def leave(self, state: TurnState) -> None:
        """Put the bundle in the widget's place, and close the widget."""
        self._output.show(bundle(state, self._timing), metadata(state, self._timing))
        if self._widget is not None:
            self._widget.close()
            self._widget.layout.close()  # made with every widget, closed with none

    def _blocks(self, state: TurnState, now: int) -> Mapping[str, str]:
        """The blocks that are not the object last drawn at their place, as HTML by key."""
        fresh: dict[str, str] = {}
        for at, block in enumerate(state.blocks):
            if at < len(self._drawn) and self._drawn[at] is block:
                continue
            since = now
            if isinstance(block, StepBlock) and block.status == "running":
                since = self._since.setdefault(block.call_id, now)
            fresh[f"b{at}"] = block_html(block, self._timing, since)
        return fresh

    def _send(self, changed: dict[str, Any]) -> None:
        if self._widget is None:
            self._widget = _widget_class()(changed)
            view = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
            self._output.show({_WIDGET: view, "text/plain": "The agent is at work."}, {})
        else:
            self._widget.update(changed)


class StaticScreen:
    """One HTML output, replaced as a whole: for front ends that show no widgets."""

    def __init__(self, *, timing: bool = True, clock: Clock = time) -> None:
        self._timing = timing
        self._clock = clock
        self._output = _Output()
        self._drawn: tuple[tuple[Block, str], ...] = ()
        self._wait: tuple[Note | CompactionBlock, float] = Note("retry", ""), 0.0

    def paint(self, state: TurnState) -> int:
        """Publish the whole turn; blocks that did not change are not rendered again."""
        known = {id(block): markup for block, markup in self._drawn}
        self._drawn = tuple(
            (block, known.get(id(block)) or block_html(block, self._timing))
            for block in state.blocks
        )
        blocks = [markup for _, markup in self._drawn]
        if block := _waiting(state):
            blocks[-1] = block_html(self._ticked(block), self._timing)
        whole = turn_html(state, blocks, self._timing)
        self._output.show({"text/html": whole, "text/plain": "The agent is at work."}, {})
        return len(whole)

    def tick(self, state: TurnState) -> float | None:
        """Each second while something waits."""
        return 1.0 if self._timing and _waiting(state) else None

    def _ticked(self, block: Note | CompactionBlock) -> Note | CompactionBlock:
        """The block with the wait that is left, or with the whole seconds that have passed."""
        now = self._clock.monotonic()
        if self._wait[0] is not block:
            self._wait = block, now
        passed = now - self._wait[1]
        if isinstance(block, CompactionBlock):
            return replace(block, seconds=round(passed) or None)
        return replace(block, wait=max(0.1, (block.wait or 0) - passed))

    def leave(self, state: TurnState) -> None:
        """Publish the bundle."""
        self._output.show(bundle(state, self._timing), metadata(state, self._timing))


def _waiting(state: TurnState) -> Note | CompactionBlock | None:
    """The retry that waits, or the room that is being made, if that is what goes on."""
    match state.blocks[-1:]:
        case (Note(wait=float()) | CompactionBlock(status="running") as block,):
            return block
        case _:
            return None


class _Output:
    """One output of the running cell, that can be replaced.

    Keeps the shell's publisher as it was found: code whose outputs are captured may run when the
    view is painted, and the view is none of its outputs.
    """

    def __init__(self) -> None:
        from uuid import uuid4

        from IPython.core.interactiveshell import InteractiveShell

        self._publish: Callable[..., None] = InteractiveShell.instance().display_pub.publish  # pyright: ignore[reportUnknownMemberType]
        self._transient = {"display_id": uuid4().hex}
        self._there = False

    def show(self, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """Show `data`, in the place of what was shown."""
        self._publish(
            data=dict(data),
            metadata=dict(metadata),
            transient=self._transient,
            update=self._there,
        )
        self._there = True


@cache
def _widget_class() -> Any:
    """The widget. Made on first use: importing anywidget takes a while."""
    import anywidget

    class TurnWidget(anywidget.AnyWidget):
        """What is painted is state beside the traits: a page that joins late gets all of it, and
        an update sends only the keys it names."""

        _esm = (_STATIC / "turn.js").read_text("utf-8")
        _css = (_STATIC / "turn.css").read_text("utf-8")

        def __init__(self, painted: dict[str, Any]) -> None:
            self.painted = dict(painted)
            super().__init__()

        def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
            state = cast("dict[str, Any]", super().get_state(key, drop_defaults))  # pyright: ignore[reportUnknownMemberType]
            return state | self.painted if key is None else state

        def update(self, changed: dict[str, Any]) -> None:
            self.painted |= changed
            for at in range(self.painted["count"], len(self.painted)):
                self.painted.pop(f"b{at}", None)
            if self.comm is not None:  # someone closed all widgets
                self.comm.send({"method": "update", "state": changed, "buffer_paths": []})

    return TurnWidget
