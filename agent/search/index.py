"""The search index beside a session's record: SQLite FTS5, rebuilt from it when it is missing.

It is a copy, which you may delete at any time. Knows no tool, no live session and no marks, and
not how a query is ranked.
"""

import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import BinaryIO, TypeVar

from ..conversation.output_store import run_of
from ..conversation.record import BAD_LINE, StoredLine, open_record, stored_lines
from ..conversation.runs import TurnHead
from ..errors import RecordError
from ..protocol import record_lines as kinds
from ..protocol.items import Message
from ..protocol.json_types import LARGEST
from ..protocol.verbatim_json import whole_text
from ..text.truncation import run_parts_of, whole
from .ranking import ROW, Group, Hit, Row, find
from .words import spread

T = TypeVar("T")

FORMAT = 0x696B0002
"""The format of the file, in its `user_version`. It is negative without FTS5."""

MAX_SEARCHED_CHARS = 200_000
"""Most characters of one line that are searched: most from its start, the rest from its end."""

LOCK_SECONDS = 1.0
"""Seconds to wait while another process writes the file."""

_BATCH, _MARKED = 500, 4_096
"""Rows written at once. Bytes at both ends of the indexed part that identify a record."""

_SPOILED = {
    *(0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT),
    *(sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT),
}
"""Errors of a spoiled file, which a new file may mend. Others come from its folder or disk."""

_TABLES = (
    *(f"DROP TABLE IF EXISTS {table}" for table in ("words", "entry", "upto")),
    "CREATE TABLE entry(at INTEGER PRIMARY KEY, kind TEXT, handle TEXT, whose TEXT, turn INT,"
    " cell TEXT, counter INT, gone INT, text TEXT)",
    "CREATE INDEX entry_turn ON entry(kind, turn)",
    "CREATE TABLE upto(at INT, mark BLOB)",
    "INSERT INTO upto VALUES (0, x'')",
)
_WORDS = """CREATE VIRTUAL TABLE words USING fts5(text, content='', prefix='2 3 4',
    tokenize='porter unicode61')"""
"""Endings do not count, and a name such as `rain_2004` is two words beside each other."""
_TAKE_BACK = "UPDATE entry SET gone = 1 WHERE kind IN ('said', 'answer') AND turn >= ?"


class Index:
    """Finds words in a record. Any thread may call it. Concurrent calls take turns.

    All methods first read the new lines of the record. They raise RecordError when they cannot.
    """

    def __init__(self, record: Path) -> None:
        """The file has the record's name, with `.sqlite3`. It is made at the first call."""
        self.file = record.with_suffix(".sqlite3")
        ends = ("", "-journal", "-wal", "-shm")
        self._files = [record.with_suffix(f".sqlite3{end}") for end in ends]
        self._record = record
        self._lock = Lock()
        self._memory: sqlite3.Connection | None = None

    def search(self, query: str, group: Group, most: int) -> list[Hit]:
        """At most `most` groups of rows that have words of a query, the best first."""
        asked = _sound(query)
        if not asked.strip():
            return []
        return self._ask(lambda db: find(db, asked, group, most, _form(db) == FORMAT))

    def turns(self) -> list[TurnHead]:
        """All turns in order, without their prompts. Turns that were taken back are included."""
        sql = "SELECT turn, '', cell, counter FROM entry WHERE kind = 'said' ORDER BY at"
        return self._ask(lambda db: [TurnHead(*found) for found in db.execute(sql)])

    def spoken(self, turn: int) -> list[Row]:
        """The prompt of a turn, and its answers."""
        sql = f"SELECT {ROW} FROM entry WHERE kind IN ('said', 'answer') AND turn = ? ORDER BY at"
        return self._ask(lambda db: [Row(*found) for found in db.execute(sql, (turn,))])

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the file. If there can be none, ask a copy in memory that lives as long as this."""
        with self._lock:
            if self._memory is None:
                try:
                    return self._ask_file(question)
                except (sqlite3.DatabaseError, OSError):
                    self._memory = _connect(":memory:")
                    weakref.finalize(self, self._memory.close)
            return _answer(self._memory, self._record, question)

    def _ask_file(self, question: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._ask_once(question)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _SPOILED:
                raise
        for file in self._files:  # an old journal would spoil the new file
            file.unlink(missing_ok=True)
        return self._ask_once(question)

    def _ask_once(self, question: Callable[[sqlite3.Connection], T]) -> T:
        if any(file.is_symlink() for file in self._files):
            raise OSError("SQLite would write to where the link leads")
        os.close(os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would use the umask
        with closing(_connect(str(self.file))) as db:
            return _answer(db, self._record, question)


def _connect(to: str) -> sqlite3.Connection:
    return sqlite3.connect(to, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)


def _answer(db: sqlite3.Connection, record: Path, question: Callable[[sqlite3.Connection], T]) -> T:
    # A killed kernel loses nothing by this. After a power cut the file may be made anew.
    db.execute("PRAGMA synchronous = OFF")
    _catch_up(db, record)
    with db:  # one state of the file throughout
        db.execute("BEGIN")
        return question(db)


def _catch_up(db: sqlite3.Connection, record: Path) -> None:
    """Read the new lines of the record, or all lines if the index is of another record."""
    try:
        with open_record(record) as file:
            end = file.seek(0, os.SEEK_END)
            if _read_upto(db, file, end) == end:
                return
            with db:
                db.execute("BEGIN IMMEDIATE")
                at = _read_upto(db, file, end)  # again, because another process may have read it
                if at is None:
                    _begin(db)
                at = _take(db, record, at or 0)
                db.execute("UPDATE upto SET at = ?, mark = ?", (at, _mark(file, at)))
    except OSError as error:
        raise RecordError(f"{record} cannot be read: {error.strerror}.") from None


def _read_upto(db: sqlite3.Connection, file: BinaryIO, end: int) -> int | None:
    """The byte up to which the record was read. None for another record or another format."""
    form = _form(db)
    if abs(form) != FORMAT or (form < 0 and has_fts5(db)):
        return None
    at, mark = db.execute("SELECT at, mark FROM upto").fetchone()
    return at if at <= end and mark == _mark(file, at) else None


def _form(db: sqlite3.Connection) -> int:
    return db.execute("PRAGMA user_version").fetchone()[0]


def has_fts5(db: sqlite3.Connection) -> bool:
    """True if this SQLite was built with FTS5."""
    try:
        db.execute("CREATE VIRTUAL TABLE temp.probe USING fts5(text)")
    except sqlite3.OperationalError:
        return False
    db.execute("DROP TABLE temp.probe")
    return True


def _begin(db: sqlite3.Connection) -> None:
    """Make empty tables in place of all tables."""
    fts5 = has_fts5(db)
    for statement in (*_TABLES, *([_WORDS] if fts5 else [])):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {FORMAT if fts5 else -FORMAT}")


def _mark(file: BinaryIO, at: int) -> bytes:
    """A digest that identifies the first `at` bytes of a record."""
    file.seek(0)
    head = file.read(min(at, _MARKED))
    file.seek(max(at - _MARKED, 0))
    return blake2b(head + file.read(min(at, _MARKED)), digest_size=16).digest()


def _take(db: sqlite3.Connection, record: Path, start: int) -> int:
    """Index the record from byte `start` on. Returns the byte up to which it was read."""
    at, rows = start, list[Row]()
    turn = db.execute("SELECT max(turn) FROM entry WHERE kind = 'said'").fetchone()[0] or 0
    for stored in _lines_from(record, start):
        at, line, row = stored.at + len(stored.text), stored.line(), None
        with suppress(*BAD_LINE):
            row = _row(stored.at, line, turn)
        if row is not None and _fits(row):
            rows.append(row)
            turn = row.turn if row.kind == "said" else turn
        rewound = isinstance(line, kinds.RewindLine)
        if len(rows) == _BATCH or rewound:
            _add(db, rows)
        if rewound:
            db.execute(_TAKE_BACK, (line.turn,))
    _add(db, rows)
    if _form(db) == FORMAT:
        db.create_function("spread", 1, spread, deterministic=True)
        words = "INSERT INTO words(rowid, text) SELECT at, spread(text) FROM entry WHERE at >= ?"
        db.execute(words, (start,))
    return at


def _lines_from(record: Path, at: int) -> Iterator[StoredLine]:
    """The lines from byte `at` on. A torn line, without an end, is left out."""
    with open_record(record) as file:
        file.seek(at)
        for text in file:
            if text.endswith(b"\n"):
                yield from stored_lines(at, text)
            at += len(text)


def _add(db: sqlite3.Connection, rows: list[Row]) -> None:
    db.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    rows.clear()


def _row(at: int, line: kinds.RecordLine | None, turn: int) -> Row | None:
    """The row of a line, or None if it is not searched. `turn`: the last turn before it."""
    match line:
        case kinds.TurnLine(turn=said, cell=cell, count=count):
            return Row(at, "said", "", "", said, cell, count, False, _sound(line.said))
        case kinds.CellRunLine() if line.handle:
            run, of_turn = run_of(line), turn if line.turn is None else line.turn
            place = (of_turn, line.cell, line.run.get("count"), False)
            text = _sound(f"{run.source}\n{whole(run_parts_of(run))}")
            return Row(at, "run", line.handle, line.by, *place, text)
        case kinds.OutputLine() if line.handle:
            of_turn = turn if line.turn is None else line.turn
            return Row(at, "text", line.handle, "", of_turn, None, None, False, _sound(line.text))
        case kinds.ItemLine(about="model", apart=False):
            item = line.item()
            if isinstance(item, Message) and item.role == "assistant" and item.text.strip():
                place = (line.turn, line.cell or None, None, False)
                return Row(at, "answer", "", "", *place, _sound(item.text))
        case _:
            pass
    return None


def _fits(row: Row) -> bool:
    """Whether SQLite takes all values. Those of a damaged line may be anything."""
    return all(
        it is None
        or (isinstance(it, int) and abs(it) <= LARGEST)
        or (isinstance(it, str) and whole_text(it) == it)
        for it in row
    )


def _sound(text: str) -> str:
    """The searched part of a text: its start, where a source is, and its end, where an error is.

    SQLite cannot take lone surrogates, nor NUL, which would end the text. So they are replaced.
    """
    if len(text) > MAX_SEARCHED_CHARS:
        text = f"{text[: MAX_SEARCHED_CHARS * 3 // 4]}\n{text[-MAX_SEARCHED_CHARS // 4 :]}"
    return whole_text(text.replace("\0", " "))
