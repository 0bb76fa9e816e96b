"""Views of a turn: in a notebook, live or static, or in a terminal. Knows no turn that runs.

Loads nothing until a view is opened.
"""

from typing import TYPE_CHECKING, Literal, Protocol, assert_never

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..agent.protocol.cells import Output
    from ..agent.protocol.events import Event

__all__ = ["View", "open_view"]


class View(Protocol):
    """Shows one turn."""

    def show(self, event: "Event") -> None:
        """Show one event of the turn."""
        ...

    def close(self, below: "Sequence[Output] | None" = None, *, asked: bool = False) -> None:
        """Leave the final form, however the turn ended. A second call does nothing.

        `below`: all else that the cell shows, which are displays of steps. None: nobody knows.
        `asked`: questions are there, too."""
        ...


def open_view(
    kind: Literal["live", "static", "plain"], *, timing: bool = True, rate: float = 20
) -> View:
    """A view for one turn: `live` in a notebook with widgets, `static` in one without, `plain` in
    a terminal. `timing`: show seconds. `rate`: most repaints a second."""
    match kind:
        case "live":
            from .views.notebook import LiveScreen, NotebookView

            return NotebookView(LiveScreen(timing=timing), rate=rate)
        case "static":
            from .views.notebook import NotebookView
            from .views.parts import StaticScreen

            return NotebookView(StaticScreen(timing=timing), rate=rate)
        case "plain":
            from .views.terminal import on_terminal

            return on_terminal(timing=timing)
        case _:
            assert_never(kind)
