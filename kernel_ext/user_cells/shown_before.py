"""Whether anything was shown since a cell began. Knows neither cell nor turn."""

from collections.abc import Callable
from typing import Any

from ...agent.protocol.cells import DisplayOutput, StreamName
from ...widgets.views.cell_output import OF_VIEW
from ..output_hooks import Function, OutputHooks, ReadChange, Update
from ..shell import Shell


class ShownBefore:
    """Listens from its making until `close`."""

    def __init__(self, shell: Shell) -> None:
        self.anything = False
        self._hooks = OutputHooks(self)
        self._hooks.open(shell)

    def close(self) -> None:
        """Listen no more."""
        self._hooks.close()

    def write(self, name: StreamName, original: Function) -> Function:
        """A `write` that is noted."""

        def write(text: str, *args: Any, **kwargs: Any) -> Any:
            self.anything = True
            return original(text, *args, **kwargs)

        return write

    def show(self, read: ReadChange, original: Callable[[], Any]) -> Any:
        """Note that something is shown, unless it is the view of a turn."""
        change = read()
        output = change.output if isinstance(change, Update) else change
        name = output.display_id if isinstance(output, DisplayOutput) else None
        self.anything |= not (name or "").startswith(OF_VIEW)
        return original()
