"""The indexes that a session uses, one for each folder that it searched. Knows no tool."""

import asyncio
from pathlib import Path

from .index import index_path
from .indexing import Indexer


class FolderIndexes:
    """A service of a session. `cache`: the person's folder for what can be made anew."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._indexers: dict[Path, Indexer] = {}

    def of(self, folder: Path) -> Indexer:
        """The index of a folder."""
        if folder not in self._indexers:
            self._indexers[folder] = Indexer(folder, index_path(folder, self._cache))
        return self._indexers[folder]

    async def close(self) -> None:
        """End the processes that read documents."""
        await asyncio.gather(*(asyncio.to_thread(it.close) for it in self._indexers.values()))
