"""Whether earlier runs still hold, or are superseded, stale or hidden. Values only."""

from collections.abc import Mapping
from dataclasses import field

from ..frozen import frozen
from .runs import HIDDEN, NO_MARKS, Marks, RunLog, RunSummary, superseded_turns
from .state import Conversation


@frozen
class Validity:
    """`stale`: runs that read names which changed later. `superseded`: turns, by the later ones.

    `kernel`: the present one.
    """

    runs: RunLog
    marks: Marks = NO_MARKS
    stale: frozenset[str] = frozenset()
    superseded: Mapping[int, int] = field(default_factory=dict[int, int])
    kernel: str = ""

    @property
    def shown(self) -> list[RunSummary]:
        """The runs that the person does not hide."""
        return [head for head in self.runs.heads if not self.hides(head)]

    def is_gone(self, head: RunSummary) -> bool:
        """True if the run was in another kernel. Old records name none for the agent's runs."""
        return bool(self.kernel) and head.kernel != self.kernel

    def hides(self, head: RunSummary) -> bool:
        """True if the person hides that run, or the turn that ran it."""
        return head.key in self.marks.hidden or (head.by == "agent" and self.hides_turn(head.turn))

    def hides_turn(self, turn: int) -> bool:
        """True if the person hides that turn."""
        return f"turn:{turn}" in self.marks.hidden

    def after(self, handle: str) -> str | None:
        """The name of the run that superseded a run, or of the turn that superseded its turn."""
        if later := self.runs.superseded_by(handle):
            head = self.runs.get(later)
            return HIDDEN if head and self.hides(head) else later
        head = self.runs.get(handle)
        if head and head.by == "agent" and head.turn in self.superseded:
            return f"turn {self.superseded[head.turn]}"
        return None

    def mark(self, handle: str) -> str:
        """The remark after a run's name. It is empty if the run holds."""
        if later := self.after(handle):
            return f" superseded by {later}"
        return " stale" if handle in self.stale else ""

    def pins(self, head: RunSummary) -> bool:
        """True if the person pinned that run, and it is the latest of its cell."""
        return head.key in self.marks.pinned and not self.runs.superseded_by(head.handle)


def validity(conversation: Conversation, runs: RunLog) -> Validity:
    """Which runs so far still hold. Only runs of this kernel can be stale."""
    labels = {label for label, _ in conversation.stale}
    heads, kernel = runs.heads if labels else (), conversation.told.kernel
    stale = (it.handle for it in heads if it.kernel == kernel and it.label in labels)
    return Validity(
        runs, conversation.marks, frozenset(stale), superseded_turns(conversation.heads), kernel
    )
