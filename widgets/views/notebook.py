"""A turn in a notebook: painted by a widget while it runs, then left as static output.

Knows no loop.
"""

import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from ...agent.protocol.cells import Output
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
from ..render.html import block_html, bundle, footer_html, header_html, metadata
from ..render.labels import UNENDED
from ..state.blocks import Block, StepBlock
from ..state.fold import TurnState, fold
from .cell_output import CellOutput
from .repaint import Clock, Pace

_SOON = TurnStarted, ApprovalNeeded, ToolStarted, ToolEnded, Retrying, Compacting, Compacted
_WIDGET = "application/vnd.jupyter.widget-view+json"
_STATIC = Path(__file__).parent / "static"


class Screen(Protocol):
    """The place where a running turn is painted."""

    def paint(self, state: TurnState) -> int:
        """Show `state`; return how many characters were sent."""
        ...

    def tick(self, state: TurnState) -> float | None:
        """Seconds until the next repaint if no event comes. None: no repaint."""
        ...

    def leave(self, state: TurnState, below: Sequence[Output] | None, asked: bool) -> None:
        """Show the final form. `below`: displays of steps that the cell shows besides. None: nobody
        knows what else it shows. `asked`: it shows questions, too."""
        ...


class NotebookView:
    """A view of one turn on a screen, repainted at most `rate` times a second.

    When a step or a wait starts or ends, and at a question, nothing but the rate holds it up. The
    turn's end is not painted, since `close` follows.
    """

    def __init__(self, screen: Screen, *, rate: float = 20, clock: Clock = time) -> None:
        self._screen = screen
        self._state: TurnState | None = None
        self._running: set[str] = set()
        self._closed = False
        self._pace = Pace(self._paint, rate, clock)

    def show(self, event: Event) -> None:
        """Show one event. You may call it from the agent's code, and from that code's threads."""
        with self._pace.lock:
            if self._closed:
                return
            self._state = fold(self._state, event)
            if isinstance(event, ToolStarted):
                self._running.add(event.call_id)
            elif isinstance(event, ToolEnded):
                self._running.discard(event.call_id)
            if not isinstance(event, TurnEnded):
                waits = not self._running and not isinstance(event, ApprovalNeeded)
                self._pace.ask(soon=isinstance(event, _SOON), loop_is_free=waits)

    def close(self, below: Sequence[Output] | None = None, *, asked: bool = False) -> None:
        """Leave the static form. Later calls and events do nothing. `below`, `asked`: as in
        `leave`."""
        with self._pace.lock:
            self._pace.stop()
            if self._state is not None and not self._closed:
                self._closed = True
                self._screen.leave(self._state, below, asked)

    def _paint(self) -> int:
        if self._state is None or self._closed:  # a thread may call after the end
            return 0
        sent = self._screen.paint(self._state)
        if (seconds := self._screen.tick(self._state)) is not None:
            self._pace.again(seconds)
        return sent


class LiveScreen:
    """A widget that receives each block only when it changed. Its script runs the clocks."""

    def __init__(self, *, timing: bool = True, clock: Clock = time) -> None:
        self._timing = timing
        self._clock = clock
        self._cell = CellOutput()
        self._widget: Any = None
        self._drawn: tuple[Block, ...] = ()
        self._since: dict[str, int] = {}

    def paint(self, state: TurnState) -> int:
        """Send the changes, in one message."""
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
        """Never, since the widget's script counts the seconds."""
        return None

    def leave(self, state: TurnState, below: Sequence[Output] | None, asked: bool) -> None:
        """Put the bundle in the widget's place, and close the widget. Questions below it go, unless
        the cell shows what nobody knows."""
        again = below if asked else None
        if again is not None:
            self._cell.clear()
        self._cell.show(0, bundle(state, self._timing), metadata(state, self._timing))
        self._cell.add_all(again or ())
        if self._widget is not None:
            self._widget.close()
            self._widget.layout.close()  # a widget makes its layout, but does not close it

    def _blocks(self, state: TurnState, now: int) -> Mapping[str, str]:
        """The blocks that changed since they were drawn, as HTML by key."""
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
            self._cell.show(0, {_WIDGET: view, "text/plain": UNENDED}, {})
        else:
            self._widget.update(changed)


@cache
def _widget_class() -> Any:
    """The widget's class. It is made at the first use, since importing anywidget is slow."""
    import anywidget

    class TurnWidget(anywidget.AnyWidget):
        """The painted HTML is state beside the traits. A page that joins late gets all of it, and
        an update sends only the keys that it names."""

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
            if self.comm is not None:  # None when someone closed all widgets
                self.comm.send({"method": "update", "state": changed, "buffer_paths": []})

    return TurnWidget
