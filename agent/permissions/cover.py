"""Does a verdict cover a deed of the code that it let run? Pure."""

import re

from ..protocol.trials import Cover, Deed, Walls
from .walls import is_inside, is_within

_BY_SHELL = re.compile(r"(?:\S*/)?(?:ba|da|z|k)?sh (?:-\w+ )*-?c ")
_ON_DISK = ("read", "write", "remove")


def is_covered(deed: Deed, cover: Cover) -> bool:
    """Whether a deed is within the walls, or was allowed besides.

    The workspace itself, and a folder with something protected in it, are not removed as a whole.
    """
    if deed.kind in cover.kinds or any(_is_allowed(deed, it) for it in cover.allowed):
        return True
    if deed.kind == "remove" and holds_walls(deed.target, cover.walls):
        return False
    if deed.call == "open" and deed.kind == "read" and cover.readable is not None:
        free = (*cover.walls.workspace, *cover.walls.readable, *cover.readable, *cover.caches)
        if not is_within(deed.target, free):
            return False
    return is_inside(deed, cover.walls, cover.caches)


def holds_walls(path: str, walls: Walls) -> bool:
    """Whether the path is, or holds, a folder of the workspace or something protected."""
    held = (*walls.workspace, *walls.protected, *walls.secret)
    return any(it == path or it.startswith(f"{path.rstrip('/')}/") for it in held)


def _is_allowed(deed: Deed, allowed: Deed) -> bool:
    """Who may write a file may read it. A host that was allowed without its port has any."""
    target, other = deed.target, allowed.target
    match allowed.kind:
        case "command":
            lines = (other, other.partition("\n")[0].strip())
            same = target in lines or _BY_SHELL.sub("", target, count=1) in lines
            return deed.kind == "command" and same
        case "network":
            host, _, port = target.rpartition(":")
            named, _, there = other.rpartition(":")
            same = target in (other, named) or (other and other in (target, host))
            return deed.kind == "network" and bool(same or (host == named and port == there))
        case "write" if deed.kind in _ON_DISK:
            return target == other and deed.kind != "remove"
        case _:
            return deed.kind == allowed.kind and target == other
