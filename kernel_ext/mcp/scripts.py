"""The files of a workspace that a server's command line runs. Starts none, and knows no consent."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from ...agent.config.mcp_servers import McpServer
from ...agent.permissions.walls import is_within

_ENDS = (
    *(".py", ".pyw", ".pyz", ".js", ".mjs", ".cjs", ".ts", ".mts", ".sh", ".bash", ".rb", ".pl"),
    *(".php", ".lua", ".jar", ".exe", ".bat", ".ps1"),
)
"""The ends of names of code. Other files that are named are data, such as a database."""


def scripts_of(server: McpServer, workspace: Iterable[str]) -> tuple[str, ...]:
    """Their absolute paths, whether they are there or not. Where one is a link, its target is one,
    too. Modules that a script imports are none.

    `server`: filled in. `workspace`: folders, absolute and without links.
    """
    folders = tuple(workspace)
    return tuple(dict.fromkeys(it for it in _paths(server) if is_within(it, folders)))


def digests(paths: Iterable[str]) -> Mapping[str, str]:
    """A digest of the content of each, or nothing where no file can be read."""
    return {it: _digest(it) for it in paths}


def _paths(server: McpServer) -> Iterator[str]:
    folder = os.path.realpath(server.cwd or ".")
    words = [server.command] if os.sep in (server.command or "") else []
    for word in (*words, *filter(_is_code, _words(server.args))):
        path = os.path.normpath(os.path.join(folder, word or ""))
        yield path
        with suppress(OSError, ValueError):
            yield os.path.realpath(path)


def _words(args: Iterable[str]) -> Iterator[str]:
    """The words that may be paths, with those of a module that Python runs."""
    before = ""
    for it in args:
        yield it.rpartition("=")[2] if it.startswith("-") else it
        if before == "-m":
            yield f"{it.replace('.', '/')}.py"
            yield f"{it.replace('.', '/')}/__main__.py"
        before = it


def _is_code(word: str) -> bool:
    return word.lower().endswith(_ENDS)


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""
