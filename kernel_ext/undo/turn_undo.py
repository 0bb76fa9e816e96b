"""Undo of a turn's variables: takes a checkpoint before the first step, and restores it on request.

Knows no magic and no view, and not how a checkpoint is made (`checkpoint`).
"""

import re
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, cast

from ...agent.errors import UsageError
from ...agent.protocol.observed import UserCellRun
from ..shell import Shell
from ..user_names import user_names
from ..values.introspect import class_items, exactly, find_item, is_a

if TYPE_CHECKING:
    from .checkpoint import Checkpoint, Restored

_WORD = re.compile(r"[^\W\d]\w*")


class TurnUndo:
    """The checkpoint of the latest turn that ran code. There is one at a time."""

    def __init__(self) -> None:
        self._checkpoint: Checkpoint | None = None
        self._turn = self._run = 0
        self._words: set[str] = set()

    @property
    def turn(self) -> int:
        """The turn that can be undone. 0 if there is none."""
        return self._turn if self._checkpoint else 0

    def before_step(self, shell: Shell, turn: int, run: int, code: str) -> None:
        """Take a checkpoint before the first step of a turn. `run`: the user's last cell run."""
        from .checkpoint import take

        if self._checkpoint is None or self._turn != turn:
            self.drop()
            self._checkpoint, self._turn, self._run = take(user_names(shell)), turn, run
        self._words.update(_WORD.findall(code))

    def mentions(self, name: str) -> bool:
        """Whether code of the turn has that word. It can hardly have changed other names."""
        return name in self._words

    def check(self, shell: Shell, since: Sequence[UserCellRun], all_of_it: bool) -> "Checkpoint":
        """The checkpoint of before the turn. Changes nothing.

        `since`: the user's cell runs in this kernel. Raises UsageError when there is nothing to
        undo. Also when it would undo cells that the user ran after the turn, unless `all_of_it`.
        """
        if self._checkpoint is None:
            raise UsageError(
                "There is nothing to undo.", "A turn that ran code can be undone once."
            )
        names = shell.user_ns
        theirs = [it for it in since if it.number > self._run and _may_change(it, names)]
        if theirs and not all_of_it:
            raise UsageError(
                f"Since that turn you ran cells that may have changed variables: {_names(theirs)}.",
                "`%agent undo --all` undoes these changes as well.",
            )
        return self._checkpoint

    def undo(self, shell: Shell, since: Sequence[UserCellRun], all_of_it: bool) -> "Restored":
        """Bring the variables back as they were. This works once. Raises what `check` raises."""
        checkpoint = self.check(shell, since, all_of_it)
        try:
            return checkpoint.restore(shell.user_ns, user_names(shell).__contains__)
        finally:
            self.drop()

    @property
    def limits(self) -> str:
        """The limits of a checkpoint without a fork, in words. Empty for a fork."""
        found = self._checkpoint
        if found is None or found.kind == "forked":
            return ""
        return f"only small plain values changed in place come back: {found.why}"

    def drop(self) -> None:
        """Drop the checkpoint."""
        if self._checkpoint:
            self._checkpoint.drop()
            self._checkpoint = None
        self._words = set()


def _may_change(run: UserCellRun, names: Mapping[str, object]) -> bool:
    """Whether the run changed variables, or used the user's own code, whose effects are unknown."""
    seen = bool(run.bound or run.changed or run.deleted)
    return seen or any(_is_own(names[name]) for name in run.reads if name in names)


def _is_own(value: object) -> bool:
    """Whether it is a function or class of the notebook, or an object of such a class."""
    if exactly(value, FunctionType):
        return cast("FunctionType", value).__module__ == "__main__"
    kind = cast("type", value) if is_a(value, type) else type(value)
    return find_item(class_items(kind), "__module__") == "__main__"


def _names(runs: Sequence[UserCellRun]) -> str:
    named = ((it.label, (*it.bound, *it.changed, *it.deleted)[:4]) for it in runs)
    told = [f"{label} ({', '.join(names)})" if names else label for label, names in named]
    return ", ".join(told[:4]) + (f" and {len(told) - 4} more" if len(told) > 4 else "")
