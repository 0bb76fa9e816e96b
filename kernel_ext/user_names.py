"""Decides which live names are the user's. Nothing else does. Knows no value.

They are the names that IPython's `%who` lists. A name with a leading underscore is not among them.
Nor is one that IPython, a startup file or a step made, until the user binds it anew.
"""

from collections.abc import Mapping
from typing import Any

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


def is_public(name: object) -> bool:
    """Whether it is a plain text without a leading underscore. It cannot know more of a name."""
    return type(name) is str and name[:1] != "_"
