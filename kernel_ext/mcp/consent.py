"""The servers of projects that the person has allowed to start, each by what exactly would run.

Knows no server that runs.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from ...agent.config.mcp_servers import McpServer, server_fingerprint
from ...agent.printable import visible

ALLOWED_FILE = "mcp_allowed.json"
"""In the person's settings folder: for each allowed server its fingerprint and its words."""


class Consents:
    """The person's yes to servers. It is kept in a file, and holds while the server is the same."""

    def __init__(self, user_folder: Path) -> None:
        self._path = user_folder / ALLOWED_FILE

    def holds(self, server: McpServer) -> bool:
        """Whether it may start: it is of the person's own file, or they have allowed it."""
        return server.own or server_fingerprint(server) in self._read()

    def give(self, server: McpServer) -> None:
        """Allow it, from now on. Raises OSError if that cannot be written."""
        known = {**self._read(), server_fingerprint(server): words_of_server(server)}
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = json.dumps(known, indent=1, ensure_ascii=False)
        new = self._path.with_suffix(".new")
        with open(new, "w", encoding="utf-8", opener=_private) as file:
            file.write(f"{text}\n")
        new.replace(self._path)

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
