"""Tells whether an Output widget takes what is shown now. Knows no step.

`with output:` sets the widget's `msg_id`. As long as it is set, the front end gives the widget all
outputs of that cell.
"""

import sys
from typing import Any, cast


class OutputWidgets:
    """The Output widgets of this kernel. They are looked for only after one was made."""

    def __init__(self) -> None:
        self._seen: tuple[int, object] | None = None
        self._found: list[Any] = []

    def take(self) -> bool:
        """Whether one of them takes the outputs now."""
        module = sys.modules.get("ipywidgets.widgets.widget_output")
        made = getattr(sys.modules.get("ipywidgets.widgets.widget"), "_instances", None)
        if module is None or not isinstance(made, dict):  # another version may keep them elsewhere
            return False
        widgets = cast("dict[str, Any]", made)
        seen = (len(widgets), next(reversed(widgets), None))
        if seen != self._seen:
            kind = cast("Any", module).Output
            self._seen = seen
            self._found = [it for it in list(widgets.values()) if isinstance(it, kind)]
        return any(it.msg_id for it in self._found)
