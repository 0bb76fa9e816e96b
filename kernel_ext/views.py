"""Chooses the view of a turn by the surface that shows this shell's output. Knows no turn."""

from ..agent.config.settings import Settings
from ..widgets import View, open_view
from .frontend import find_surface
from .shell import Shell


def view_for(shell: Shell, settings: Settings) -> View:
    """The view that the settings name, else the one that suits the front end."""
    if settings.view != "auto":
        rate = 4 if settings.view == "static" else 20
        return open_view(settings.view, timing=settings.timing, rate=rate)
    match find_surface(shell):
        case "terminal":
            return open_view("plain", timing=settings.timing)
        case "headless":
            return open_view("static", timing=settings.timing, rate=1)
        case "notebook":
            return open_view("static", timing=settings.timing, rate=4)
        case "jupyterlab":
            return open_view("live", timing=settings.timing)
