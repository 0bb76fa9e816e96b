"""The error that names a file beside the notebook imported in place of an installed module.

It loads after a failed import, so it imports nothing that could fail, too.
"""

import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from traceback import walk_tb

from ...agent.errors import UsageError

_OURS = Path(__file__).resolve().parents[2]
"""A bug of ours is no such error, wherever we are imported from."""


def shadow_error(error: Exception) -> UsageError | None:
    """The error that names such a file, if `error` comes from one."""
    for path in (Path(file).resolve() for file in _files(error)):
        if not path.is_relative_to(_OURS) and (name := _shadowed(path)):
            return UsageError(
                f"{path} is imported in place of the installed module {name!r}.",
                "Rename the file, and restart the kernel.",
            )
    return None


def _files(error: Exception) -> Iterator[str]:
    """The files that the error is about: of a module that lacks something, or that raised."""
    module = getattr(error, "obj", None) or sys.modules.get(
        str(getattr(error, "name", "")).partition(".")[0]
    )
    frames = (frame.f_code.co_filename for frame, _ in walk_tb(error.__traceback__))
    named = (getattr(error, "path", None), getattr(error, "filename", None))
    files = (*named, getattr(module, "__file__", None), *frames)
    yield from (file for file in files if isinstance(file, str))


def _shadowed(path: Path) -> str:
    """The module that `path` hides: a later folder of the search has it, too."""
    for at, folder in enumerate(sys.path):
        here = Path(folder).resolve()
        if here in path.parents:
            name = path.relative_to(here).parts[0].removesuffix(".py")
            return name if PathFinder.find_spec(name, sys.path[at + 1 :]) else ""
    return ""
