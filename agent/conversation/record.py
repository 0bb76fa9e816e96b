"""The session's log on disk: JSON lines, append-only, flushed at each line. Knows no live session.

Kinds of line, each with `at` (seconds since the epoch): `session`, `turn` (what was said), `told`
(what was told of where we are), `item` (verbatim, with its number), `verdict`, `lent_call` (of a
tool, by the code of a step), `cell_run` (outputs in full, with the handle they are kept under),
`output` (another text under a handle), `superseded` (a run, by one that is hidden), `sample`
(usage), `ended`; and what makes the window other than it grew: `window` (all of it: numbers of
items, or new ones), `rewind` (to before a turn), `mark` (the person's pins and hidden cells),
`notes` (what the model was asked for a digest).
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic_core import from_json

from ..errors import RecordError
from ..protocol.items import Item
from ..protocol.verbatim_json import dumps

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)


class Record:
    """One file, open for appending by its owner alone (0600)."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; a last line cut off by a crash is removed.

        Raises RecordError, also while another kernel writes to it.
        """
        self.path = path.absolute()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path, _APPEND, 0o600)
            self._own()
            self._mend()
        except OSError as error:
            raise _unwritable(path, error) from None

    def append(self, kind: str, values: Mapping[str, Any]) -> int:
        """Write one line; the byte it begins at. Raises RecordError when the disk refuses it."""
        return self._write(dumps({"at": round(time.time(), 3), "kind": kind, **values}))

    def append_item(self, item: Item, values: Mapping[str, Any]) -> None:
        """Write one item as it is on the wire, after `values`: where it belongs."""
        head = dumps({"at": round(time.time(), 3), "kind": "item", **values})
        self._write(head[:-1] + b',"item":' + item.wire + b"}")

    def line_at(self, at: int) -> dict[str, Any]:
        """The line that begins at byte `at`. Raises RecordError."""
        try:
            with self.path.open("rb") as file:
                file.seek(at)
                line = file.readline()
        except OSError as error:
            raise _unreadable(self.path, error) from None
        value = _value(line)
        if value is None:
            raise RecordError(f"{self.path}, byte {at}: not a line of a session record.")
        return value

    def sync(self) -> None:
        """Wait until what was written is on the disk. Raises RecordError."""
        try:
            os.fsync(self._file)
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def close(self) -> None:
        """Close the file; nothing can be appended after."""
        if fcntl is not None:  # a process that was forked may hold the file, and the lock
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)
        os.close(self._file)

    def _own(self) -> None:
        """Two that append to one session would spoil it. Where files have no locks, trust."""
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise RecordError(
                f"The session of {self.path} is open in another kernel.",
                "Go on there, or end it there: `%agent new`.",
            ) from None
        except OSError:
            return

    def _mend(self) -> None:
        """Make the last line whole, or remove it."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            if file.read() in (b"", b"\n"):
                return
        torn = self.path.read_bytes().rpartition(b"\n")[2]
        if _value(torn) is None:
            os.ftruncate(self._file, size - len(torn))
        else:
            os.write(self._file, b"\n")

    def _write(self, line: bytes) -> int:
        left = memoryview(line + b"\n")
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            self._take_back(len(line) + 1 - len(left))
            raise _unwritable(self.path, error) from None
        return os.lseek(self._file, 0, os.SEEK_CUR) - len(line) - 1

    def _take_back(self, written: int) -> None:
        """Remove the start of a line that did not fit, lest the next one be torn by it."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)


class StoredLine(NamedTuple):
    """One line: the byte it begins at, its text, its value."""

    at: int
    text: bytes
    value: dict[str, Any]


def read_record(path: Path) -> Iterator[dict[str, Any]]:
    """The values of `read_lines`. Raises RecordError."""
    return (line.value for line in read_lines(path))


def read_lines(path: Path) -> Iterator[StoredLine]:
    """The lines of a session's log. A last line cut off by a crash is left out.

    Raises RecordError naming file and line for anything else that is not a line of ours.
    """
    at = 0
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                value = _value(text)
                if value is not None:
                    yield StoredLine(at, text, value)
                elif text.endswith(b"\n"):
                    raise RecordError(
                        f"{path}, line {number}: not a line of a session record.",
                        "Remove that line, or the file; other sessions are not touched by it.",
                    )
                at += len(text)
    except OSError as error:
        raise _unreadable(path, error) from None


def _value(line: bytes) -> dict[str, Any] | None:
    try:
        value = from_json(line)
    except ValueError:  # perhaps only a lone surrogate, or deep: slower, and takes both
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) and "kind" in value else None


def _unreadable(path: Path, error: OSError) -> RecordError:
    return RecordError(f"{path} cannot be read: {error.strerror}.")


def _unwritable(path: Path, error: OSError) -> RecordError:
    return RecordError(
        f"The session record {path} cannot be written: {error.strerror}.",
        "Free or name a folder that can: `%agent config data_dir FOLDER`.",
    )
