"""Keeps what each server listed the last time, so that a first turn need not wait for its start.

Knows no server that runs. The files are beside the sessions, for the person alone.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from ...agent.config.mcp_servers import McpServer
from ...agent.frozen import frozen
from ...agent.tools.mcp.listed import Listing, listing_json, read_listing

LISTINGS_FOLDER = "mcp_listings"
"""In the data folder: a file for each server, as it is configured."""
MOST_LISTINGS = 100
"""Most files there. The oldest goes first."""


@frozen
class KeptListings:
    """The lists of servers, in a folder of their own."""

    folder: Path

    def read(self, server: McpServer) -> Listing | None:
        """Its list of the last time that it ran as it is configured now, or None."""
        with suppress(OSError, ValueError):
            return read_listing(server, self._path(server).read_bytes())
        return None

    def keep(self, server: McpServer, listing: Listing) -> None:
        """Keep what it lists now. A folder that cannot be written only costs the next start."""
        path, text = self._path(server), listing_json(listing)
        with suppress(OSError):
            if path.exists() and path.read_text(encoding="utf-8") == text:
                os.utime(path)
                return
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = path.with_suffix(f".{os.getpid()}")
            with open(new, "w", encoding="utf-8", opener=_private) as file:
                file.write(text)
            new.replace(path)
            for old in sorted(path.parent.iterdir(), key=_age)[:-MOST_LISTINGS]:
                old.unlink(missing_ok=True)

    def _path(self, server: McpServer) -> Path:
        name = hashlib.sha256(server.model_dump_json().encode()).hexdigest()
        return self.folder / f"{name}.json"


def _age(path: Path) -> float:
    return path.lstat().st_mtime


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
