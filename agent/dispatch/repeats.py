"""Notices a call that fails the same way again and again. Knows no loop."""

import re
from dataclasses import dataclass, field

from ..protocol.items import FunctionCall, OtherCall
from ..tools.tool import ToolOutput

MOST_ALIKE = 3
"""So often the same call may fail the same way in a row."""

_COUNTED = re.compile(r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?")
"""Numbers differ between two failures of one kind: of the cell, of the object, of the handle."""
_Failure = tuple[str, str, str]


@dataclass(slots=True)
class Failures:
    """The failures since a call last worked, each with its count. Looks do not matter."""

    counts: dict[_Failure, int] = field(default_factory=dict[_Failure, int])

    def note(self, item: FunctionCall | OtherCall, output: ToolOutput, looks: bool) -> bool:
        """Take one more output. True if this call has failed too often."""
        if output.status == "ok":
            if not looks:
                self.counts.clear()
            return False
        failure = (item.name, item.arguments, _COUNTED.sub("#", output.text))
        self.counts[failure] = self.counts.get(failure, 0) + 1
        return self.counts[failure] >= MOST_ALIKE
