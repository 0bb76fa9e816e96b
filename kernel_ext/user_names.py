"""Decides which live names are the user's. Nothing else does. Knows no value.

They are the names that IPython's `%who` lists. A name with a leading underscore is not among them.
Nor is one that IPython, a startup file or a step made, until the user binds it anew.
"""

from collections.abc import Mapping
from itertools import repeat
from typing import Any

from ..agent.identity import begins_with, differing
from .shell import Shell

_ABSENT = object()


def user_names(shell: Shell, names: Mapping[Any, object] | None = None) -> dict[str, object]:
    """The user's names among all live names, or among `names`, with their values."""
    hidden: Mapping[str, object] = shell.user_ns_hidden
    return {
        name: value
        for name, value in (shell.user_ns if names is None else names).items()
        if is_public(name) and hidden.get(name, _ABSENT) is not value
    }


def rebound(before: Mapping[str, object], names: Mapping[str, object]) -> list[str]:
    """The names that hold another object than in `before`, new ones among them.

    There may be thousands, since a shell has some for each cell that ran.
    """
    now = tuple(names)
    if begins_with(now, tuple(before)):  # nothing was deleted, so pairs are quicker
        held = tuple(before.values())
    else:
        held = tuple(map(before.get, names, repeat(_ABSENT)))
    return [now[at] for at in differing(tuple(names.values()), held)]


def gone(before: Mapping[str, object], names: Mapping[str, object], new: list[str]) -> list[str]:
    """The names of `before` that are there no more. `new`: those that `rebound` found."""
    left = len(names) - sum(name not in before for name in new)
    return [] if left == len(before) else [name for name in before if name not in names]


def is_public(name: object) -> bool:
    """Whether code can name it, and it has no leading underscore. It cannot know more of a name.

    A key of `globals()` may be any text. One that is no identifier could pass for lines of ours.
    """
    return type(name) is str and name[:1] != "_" and name.isidentifier()
