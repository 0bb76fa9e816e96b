"""The session's log on disk: JSON lines, append-only, flushed at each line. Knows no live session.

The kinds of lines are in `protocol/record_lines`. Each has `at`, in seconds since the epoch.
"""

import contextlib
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast
from weakref import WeakSet

from pydantic_core import from_json

from ..errors import RecordError
from ..protocol.items import Item
from ..protocol.record_chain import CHANGED, PAST, Chain, change_since, last_line, line_digest
from ..protocol.record_lines import (
    CellRunLine,
    ItemLine,
    OutputLine,
    RecordLine,
    TurnLine,
    line_of,
)
from ..protocol.verbatim_json import dumps
from ..text.masking import Mask
from .splices import spliced

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
_CAREFUL = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Follows no link, and waits for nobody at a pipe."""
BAD_LINE = (AttributeError, KeyError, TypeError, ValueError)
"""The errors of reading a line that is JSON but none of ours."""

_BEGIN = re.compile(rb'(?=\{"at":[\d.e+]+,"kind":")')
"""Where a line begins. No string in a line can hold this, as quotes are escaped."""
_CLOSED = -1
"""In place of the descriptor of a file that is closed."""
_KIND = re.compile(rb'"kind": ?"(\w{1,20})"')


class Record:
    """One file, open for appending by its owner alone (0600). `mask`: of all that is written.

    `places`: the byte at which the line of each handle begins. A forked child cannot write to it.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file. A last line that a crash cut off is removed.

        Raises RecordError, also while another kernel writes to it.
        """
        self.path = path.absolute()
        self.mask = Mask()
        self.places: dict[str, int] = {}
        self._chain = ""
        try:
            _make_private(self.path)
            self._file = os.open(self.path, _APPEND | _CAREFUL, 0o600)
            self._own()
            self._mend()
            self._chain, self._seen = _last_digest(self.path), os.fstat(self._file)
        except OSError as error:
            raise _unwritable(path, error) from None
        _open_records().add(self)

    def append(self, line: RecordLine) -> int:
        """Write one line. Returns the byte at which it begins. Raises RecordError."""
        self._check()
        values = self.mask.value(line.values())
        head = {"at": round(time.time(), 3), "kind": line.kind, PAST: self._chain}
        text = dumps({**head, **values, PAST: self._chain})
        if isinstance(line, ItemLine) and line.wire:
            text = text[:-1] + b',"item":' + line.wire + b"}"
        at = self._write(text)
        self._chain = line_digest(text)
        if isinstance(line, CellRunLine | OutputLine):
            self.places[line.handle] = at
        return at

    def line_at(self, at: int) -> RecordLine:
        """The line that begins at byte `at`. Raises RecordError."""
        found = next(stored_lines(at, text_at(self.path, at)), None)
        if found and (line := found.line()):
            return line
        raise RecordError(f"{self.path}, byte {at}: not a line of a session record.")

    def foreign_change(self) -> str:
        """In words, what others did to the file since our last line: `was cut`. Else nothing."""
        if self._file == _CLOSED:
            return ""
        words = change_since(self._seen, self._file, self.path)
        self._seen = os.fstat(self._file)  # each change is told once
        return "" if words == CHANGED and self._is_whole() else words

    def _is_whole(self) -> bool:
        """Whether all lines are still ours. Only the time of the file says so where it is not."""
        chain = Chain()
        follow = [chain.follows(it.value, it.text) for it in read_lines(self.path)]
        return all(follow) and chain.last == self._chain

    def sync(self) -> None:
        """Wait until all lines are on the disk. Raises RecordError."""
        try:
            os.fsync(self._file)
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def close(self) -> None:
        """Close the file. Nothing can be appended after that. You may call it again."""
        if self._file != _CLOSED and fcntl is not None:  # a process that C forked may hold it
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)
        self.leave()

    def leave(self) -> None:
        """Close the file in this process, and leave the lock to another that has both."""
        file, self._file = self._file, _CLOSED
        if file != _CLOSED:
            os.close(file)

    def _check(self) -> None:
        """Raises RecordError for a record that is closed here, or that is not there any more."""
        if self._file == _CLOSED:
            raise RecordError(
                f"{self.path} is not open in this process.",
                "A forked process begins a session of its own with `%agent new`.",
            )
        if not os.path.lexists(self.path):
            raise RecordError(
                f"The session record {self.path} was deleted or moved.",
                "Put it back, or begin a new session: `%agent new`.",
            )

    def _own(self) -> None:
        """Lock the file, because a second writer would spoil it. Some systems have no locks."""
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise RecordError(
                f"Session {self.path.stem} is open in another kernel.",
                "Go on there, or end it there with `%agent new`."
                f" Then `%agent resume {self.path.stem}` takes it here.",
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
        ends = [it.at + len(it.text) for it in stored_lines(0, torn) if it.value is not None]
        os.ftruncate(self._file, size - len(torn) + max(ends, default=0))
        if ends:
            os.write(self._file, b"\n")

    def _write(self, line: bytes) -> int:
        left = memoryview(line + b"\n")
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            self._take_back(len(line) + 1 - len(left))
            raise _unwritable(self.path, error) from None
        at = os.lseek(self._file, 0, os.SEEK_CUR) - len(line) - 1
        if at == self._seen.st_size:  # else others have written meanwhile
            self._seen = os.fstat(self._file)
        return at

    def _take_back(self, written: int) -> None:
        """Remove the start of a line that did not fit, so that the next line is whole."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)


@cache
def _open_records() -> "WeakSet[Record]":
    """The records that this process writes. Those that are forked from it leave them.

    A child would else write the same lines again, and keep the lock of a parent that was killed.
    """
    records = WeakSet[Record]()

    def leave() -> None:
        for record in records:
            record.leave()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=leave)  # once, since it cannot be taken back
    return records


def open_record(path: Path) -> BinaryIO:
    """Open a record to read it. Raises OSError, and RecordError for a link in its place."""
    _refuse_links(path)
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | _CAREFUL))


def text_at(path: Path, at: int, most: int = -1) -> bytes:
    """The text from byte `at` to the end of the file's line, or its first `most` bytes.

    Raises RecordError.
    """
    try:
        with open_record(path) as file:
            file.seek(at)
            return file.readline(most)
    except OSError as error:
        raise _unreadable(path, error) from None


def whole_item(path: Path, line: ItemLine, places: Mapping[str, int]) -> Item:
    """The item of a line. `places`: the byte at which the line of each handle begins.

    Raises RecordError, and the errors of `BAD_LINE` if the run that has parts of it is lost.
    """
    if line.splices:
        run = text_at(path, places[line.run or ""]).decode()
        line = replace(line, splices=None, wire=spliced(line.splices, run).encode())
    return line.item()


def is_open(path: Path) -> bool:
    """True if a kernel writes to the record now. Raises OSError, RecordError as `open_record`."""
    if fcntl is None:
        return False
    with open_record(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False


def _make_private(path: Path) -> None:
    """Make the folders above a record. Only their owner may enter them.

    Folders of ours that were made otherwise are closed, too. The ones above are the person's own.
    """
    _refuse_links(path)
    for folder in reversed(path.parents):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
        elif folder in _own_folders(path) and stat.S_IMODE(folder.stat().st_mode) & 0o077:
            with contextlib.suppress(PermissionError):  # another user's
                folder.chmod(0o700)


def _refuse_links(path: Path) -> None:
    """Raises RecordError if a record is a link, or is in a folder of ours that is one."""
    for each in (path, *_own_folders(path)):
        if each.is_symlink():
            raise RecordError(
                f"{each} is a link. A session record is not kept behind one.",
                "Remove it, or name the folder it leads to: `%agent config data_dir FOLDER`.",
            )


def _own_folders(path: Path) -> Sequence[Path]:
    """The month's folder and `sessions`, in which records lie. Else there are none of ours."""
    return path.parents[:2] if path.parent.parent.name == "sessions" else ()


class StoredLine(NamedTuple):
    """One line: the byte at which it begins, its text, its JSON value (None if it is none).

    `number`: of the file's line.
    """

    at: int
    text: bytes
    value: dict[str, Any] | None
    number: int = 0

    def line(self) -> RecordLine | None:
        """The line as a value of its kind, or None if it cannot be read."""
        if self.value is not None:
            with contextlib.suppress(*BAD_LINE):
                return line_of(self.value, self.text)
        return None


class ReadLine(NamedTuple):
    """A line of the file with its number there. `line` is None if it cannot be read.

    `kind`: of a line that cannot be read, too, if its start tells. `follows`: False if the line
    does not go on from the one before it in the chain.
    """

    number: int
    at: int
    kind: str
    line: RecordLine | None
    follows: bool = True


def stored_lines(at: int, text: bytes, number: int = 0) -> Iterator[StoredLine]:
    """The lines in the file's line that begins at byte `at`. Several, if line ends were lost."""
    value = _value(text)
    if value is not None:
        yield StoredLine(at, text, value, number)
        return
    for part in filter(None, _BEGIN.split(text)):
        yield StoredLine(at, part, _value(part), number)
        at += len(part)


def read_record(path: Path) -> Iterator[ReadLine]:
    """The lines of a session's log. A last line that a crash cut off is left out.

    The first item of a turn takes the place of the turn's own line, if that was lost. Raises
    RecordError for the file alone.
    """
    turn, chain = 0, Chain()
    for stored in read_lines(path):
        line, follows = stored.line(), chain.follows(stored.value, stored.text)
        if isinstance(line, TurnLine):
            turn = line.turn
        elif isinstance(line, ItemLine) and line.turn > turn:
            turn = line.turn
            yield ReadLine(
                stored.number, stored.at, "turn", TurnLine(turn=turn, cell=line.cell or None)
            )
        yield ReadLine(stored.number, stored.at, _kind_of(stored), line, follows)


def _kind_of(stored: StoredLine) -> str:
    if stored.value is not None:
        return str(stored.value["kind"])
    kind = _KIND.search(stored.text)
    return kind[1].decode() if kind else ""


def read_lines(path: Path) -> Iterator[StoredLine]:
    """The same lines, not yet as values of their kinds."""
    at = 0
    try:
        with open_record(path) as file:
            for number, text in enumerate(file, 1):
                for stored in stored_lines(at, text, number):
                    if stored.value is not None or text.endswith(b"\n"):
                        yield stored
                at += len(text)
    except OSError as error:
        raise _unreadable(path, error) from None


def _value(line: bytes) -> dict[str, Any] | None:
    try:
        value = from_json(line)
    except ValueError:  # perhaps a lone surrogate, or deep nesting: json is slower, and reads both
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) and "kind" in value else None


def _last_digest(path: Path) -> str:
    """The digest of the last line. Nothing before the first, and for what is no file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        parts = list(stored_lines(0, last_line(file)))
    return line_digest(parts[-1].text) if parts else ""


def _unreadable(path: Path, error: OSError) -> RecordError:
    return RecordError(f"{path} cannot be read: {error.strerror}.")


def _unwritable(path: Path, error: OSError) -> RecordError:
    return RecordError(
        f"The session record {path} cannot be written: {error.strerror}.",
        "Free some space, or name another folder: `%agent config data_dir FOLDER`.",
    )
