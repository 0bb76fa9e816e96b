"""The servers that the person has allowed to start, each by what exactly would run.

Knows no server that runs.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from ...agent.config.mcp_servers import McpServer, server_fingerprint
from ...agent.printable import visible

ALLOWED_FILE = "mcp_allowed.json"
"""In the person's settings folder: for each allowed server its fingerprint and its words."""
_SCRIPTS = "scripts"
"""In the same file: the digest of each script that a server may run, by path."""


class Consents:
    """The person's yes to servers. It is kept in a file, and holds while the server is the same."""

    def __init__(self, user_folder: Path) -> None:
        self._path = user_folder / ALLOWED_FILE

    def holds(self, server: McpServer) -> bool:
        """Whether it may start: it is of the person's own file, or they have allowed it."""
        return server.own or server_fingerprint(server) in self._read()

    def give(self, server: McpServer, scripts: Mapping[str, str]) -> None:
        """Allow it with its scripts, from now on. Raises OSError if that cannot be written."""
        own = {} if server.own else {server_fingerprint(server): words_of_server(server)}
        self._write(own, scripts)

    def changed(self, scripts: Mapping[str, str]) -> Sequence[str]:
        """Those that are not as they were at the person's yes, or when they ran first, which is now
        for a new one. Raises OSError if that cannot be written."""
        known = self._known_scripts()
        if new := {path: it for path, it in scripts.items() if path not in known}:
            self._write({}, new)
        return [path for path, it in scripts.items() if known.get(path, it) != it]

    def _write(self, servers: Mapping[str, str], scripts: Mapping[str, str]) -> None:
        known = {**self._read(), **servers}
        if scripts:
            known[_SCRIPTS] = {**self._known_scripts(), **scripts}
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = json.dumps(known, indent=1, ensure_ascii=False)
        new = self._path.with_suffix(".new")
        with open(new, "w", encoding="utf-8", opener=_private) as file:
            file.write(f"{text}\n")
        new.replace(self._path)

    def _known_scripts(self) -> dict[str, Any]:
        found: object = self._read().get(_SCRIPTS)
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

    def _read(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            found: object = json.loads(self._path.read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return cast("dict[str, Any]", found)
        return {}


def words_of_server(server: McpServer) -> str:
    """On one line, all that would run or be asked, as it is configured."""
    if server.url is not None:
        return visible(f"connects to {server.url}")
    parts = [*(f"{name}={value}" for name, value in server.env.items()), server.command or ""]
    return visible(f"runs {' '.join([*parts, *server.args])!r}")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
