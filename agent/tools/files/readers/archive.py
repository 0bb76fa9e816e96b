"""Opens documents that are zip archives of XML. Knows no kind of document."""

import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from ..places import UnreadableFile

MAX_UNPACKED_BYTES = 200 << 20
"""Most bytes of all parts of an archive. More is no document, but a trap."""

Element = ElementTree.Element


class DocumentArchive:
    """The parts of an open document."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = frozenset(archive.namelist())

    def xml(self, name: str) -> Element | None:
        """A part, or None if it is not there. Raises UnreadableFile."""
        if name not in self._names:
            return None
        try:
            return ElementTree.fromstring(self._archive.read(name))
        except (ElementTree.ParseError, zipfile.BadZipFile, EOFError, RuntimeError) as error:
            raise UnreadableFile(f"its part {name} is broken: {error}") from None


@contextmanager
def opened_archive(path: Path) -> Generator[DocumentArchive]:
    """The document at a path. Raises UnreadableFile, OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(it.file_size for it in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise UnreadableFile("unpacked, it is larger than 200 MB")
            yield DocumentArchive(archive)
    except zipfile.BadZipFile:
        raise UnreadableFile("it is no document of that kind, or broken") from None
