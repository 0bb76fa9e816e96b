"""The outputs of the running cell that a view owns. Knows no turn.

It keeps the shell's publisher from the beginning. Outputs of a step may be captured when the view
is painted, and the view is not one of them.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...agent.protocol.cells import DisplayOutput, Output

OF_VIEW = "inkernel-"
"""The beginning of the display ids of views."""


class CellOutput:
    """Outputs one below the other, each of which can be replaced."""

    def __init__(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        publisher: Any = InteractiveShell.instance().display_pub  # pyright: ignore[reportUnknownMemberType]
        self._publish: Callable[..., None] = publisher.publish
        self._clear: Callable[..., None] = publisher.clear_output
        self._names: list[str] = []

    def show(self, at: int, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """Show `data` as output `at`, in place of what it showed. A new one comes below all."""
        from uuid import uuid4

        if is_new := at == len(self._names):
            self._names.append(f"{OF_VIEW}{uuid4().hex}")
        self._publish(
            data=dict(data),
            metadata=dict(metadata),
            transient={"display_id": self._names[at]},
            update=not is_new,
        )

    def clear(self) -> None:
        """Remove all that the cell shows, also of others, when its next output comes."""
        self._clear(wait=True)
        self._names.clear()

    def add_all(self, outputs: Iterable[Output]) -> None:
        """Show the displays among them, which are not the view's, under their own names."""
        for output in outputs:
            if isinstance(output, DisplayOutput):
                transient = {"display_id": output.display_id} if output.display_id else {}
                self._publish(data=output.data, metadata=output.metadata, transient=transient)
