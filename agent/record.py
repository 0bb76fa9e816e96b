"""The session's log on disk: JSON lines, append-only, flushed at each line. Knows no live session.

Kinds of line, each with `at` (seconds since the epoch): `session`, `turn` (what was said), `item`
(verbatim), `verdict`, `cell_run` (outputs in full), `sample` (usage), `ended`.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from .errors import RecordError
from .items import Item
from .rawjson import dumps

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)


class Record:
    """One file, open for appending by its owner alone (0600)."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises RecordError."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path, _APPEND, 0o600)
        except OSError as error:
            raise _unwritable(path, error) from None

    def append(self, kind: str, values: Mapping[str, Any]) -> None:
        """Write one line. Raises RecordError when the disk refuses it."""
        self._write(dumps({"at": round(time.time(), 3), "kind": kind, **values}))

    def append_item(self, item: Item, turn: int) -> None:
        """Write one item, as it is on the wire."""
        head = dumps({"at": round(time.time(), 3), "kind": "item", "turn": turn})
        self._write(head[:-1] + b',"item":' + item.wire + b"}")

    def sync(self) -> None:
        """Wait until what was written is on the disk. Raises RecordError."""
        try:
            os.fsync(self._file)
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def close(self) -> None:
        """Close the file; nothing can be appended after."""
        os.close(self._file)

    def _write(self, line: bytes) -> None:
        left = memoryview(line + b"\n")
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            self._take_back(len(line) + 1 - len(left))
            raise _unwritable(self.path, error) from None

    def _take_back(self, written: int) -> None:
        """Remove the start of a line that did not fit, lest the next one be torn by it."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)


def read_record(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a session's log. A last line cut off by a crash is left out.

    Raises RecordError naming file and line for anything else that is not a line of ours.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}.") from None
    torn = lines.pop()
    for number, line in enumerate(lines, 1):
        yield _read_line(path, number, line)
    if torn:
        try:
            yield _read_line(path, len(lines) + 1, torn)
        except RecordError:
            return


def _read_line(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict) or "kind" not in value:
        raise RecordError(
            f"{path}, line {number}: not a line of a session record.",
            "Remove that line, or the file; other sessions are not touched by it.",
        )
    return cast("dict[str, Any]", value)


def _unwritable(path: Path, error: OSError) -> RecordError:
    return RecordError(
        f"The session record {path} cannot be written: {error.strerror}.",
        "Free or name a folder that can: `%agent config data_dir FOLDER`.",
    )
