"""The chain of a record's lines: each has a digest of the line before. Knows no kind of line.

A line that is changed, cut out or put in between does not fit its neighbours. Lines of earlier
versions have no digest, and are taken until the first that has one.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

PAST = "past"
"""The key of the digest of the line before."""
CHANGED = "was changed"
_TAIL = 1 << 16
"""Bytes at the end of a file that are read first."""


def line_digest(text: bytes) -> str:
    """The digest of a line, without the end of the line."""
    return hashlib.blake2b(text.rstrip(b"\r\n"), digest_size=8).hexdigest()


def last_line(file: BinaryIO) -> bytes:
    """The last line of a file, without its end. Reads little more than that line."""
    at, end = file.seek(0, os.SEEK_END), b""
    while at and b"\n" not in end.rstrip(b"\n"):
        step = min(max(_TAIL, len(end)), at)
        at -= step
        file.seek(at)
        end = file.read(step) + end
    return end.rstrip(b"\n").rpartition(b"\n")[2]


def change_since(before: os.stat_result, file: int, path: Path) -> str:
    """In words, the change of an open file since `before`, if it is not ours. Else nothing.

    `CHANGED`: only its time has changed, as some systems do later, too.
    """
    try:
        there, now = os.stat(path, follow_symlinks=False), os.fstat(file)
    except OSError:
        return "was deleted or moved"
    if (there.st_ino, there.st_dev) != (now.st_ino, now.st_dev):
        return "was replaced"
    if now.st_size != before.st_size:
        return "was cut" if now.st_size < before.st_size else "was written to by others"
    return CHANGED if now.st_mtime_ns != before.st_mtime_ns else ""


@dataclass(slots=True)
class Chain:
    """Follows the lines of one record. `last`: the digest of the last line, "" before the first.

    `begun`: a line had a digest, so each later one must have one.
    """

    last: str = ""
    begun: bool = False

    def follows(self, value: Mapping[str, Any] | None, text: bytes) -> bool:
        """Take one more line. False if it does not go on from the line before."""
        past, before = (value or {}).get(PAST), self.last
        self.last = line_digest(text)
        if past is None:
            return not self.begun
        self.begun = True
        return past == before
