"""Reads a file that a stranger may have planted in a project. Knows no format of it."""

import codecs
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_FLAGS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_NOCTTY", "O_BINARY"))
"""A pipe opens at once, and a link that appears meanwhile does not open."""


Held = Mapping[Path, bytes | None]
"""Files whose present content does not hold, with the bytes to read instead. None: none is there.
"""
NOTHING_HELD: Held = MappingProxyType({})

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # it begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class RefusedFile(OSError):
    """The file is there, but it is none to read. The text says why."""

    def __str__(self) -> str:
        return str(self.args[0])


def read_planted(
    path: Path, most: int, root: Path | None = None, held: Held = NOTHING_HELD
) -> bytes:
    """The first `most` bytes of a regular file, and one more if it is longer.

    `root`: a link may lead only to a file below it, of the same suffix. So a project's link reaches
    neither your own files nor its `.git/config`. Raises OSError.
    """
    if path in held:
        return _kept(path, held)[: most + 1]
    real = Path(os.path.realpath(path))
    if root and not real.is_relative_to(os.path.realpath(root)):
        raise RefusedFile("it is a link that leads out of the project")
    if root and real.suffix != path.suffix:
        raise RefusedFile(f"it is a link to {real.name}, another kind of file")
    handle = os.open(real, os.O_RDONLY | _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise RefusedFile("it is no regular file")
        with open(handle, "rb", closefd=False) as file:
            return file.read(most + 1)
    finally:
        os.close(handle)


def _kept(path: Path, held: Held) -> bytes:
    kept = held[path]
    if kept is None:
        raise FileNotFoundError(path)
    return kept


def read_planted_text(
    path: Path, most: int, root: Path | None = None, held: Held = NOTHING_HELD
) -> str:
    """The text of a whole file, at most `most` bytes long. Raises OSError, UnicodeDecodeError."""
    raw = read_planted(path, most, root, held)
    if len(raw) > most:
        raise RefusedFile(f"it is larger than {most:,} bytes")
    return raw.decode("utf-8-sig")


def decoded(raw: bytes) -> tuple[str, bool]:
    """The text of bytes in UTF-8, or as their mark says, and whether all of them were right.

    Raises RefusedFile if they are no text.
    """
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in raw:
        raise RefusedFile("it is no text")
    try:
        return raw.decode(encoding), True
    except UnicodeDecodeError:
        return raw.decode(encoding, "replace"), False


def reason(error: OSError) -> str:
    """The words of the error, without the path."""
    return error.strerror or str(error)


def is_ours(path: Path) -> bool:
    """True if the path belongs to this user, as git asks of a repository."""
    if not hasattr(os, "geteuid"):
        return True
    user = os.geteuid()
    sudo = os.environ.get("SUDO_UID", "") if user == 0 else ""
    return str(path.stat().st_uid) in (str(user), sudo)
