"""The search index beside a session's record: SQLite FTS5, rebuilt from it when it is missing.

It is a copy, which you may delete at any time. Knows no tool, no live session and no marks.
"""

import os
import re
import sqlite3
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Literal, NamedTuple, TypeVar

from ..errors import RecordError
from ..protocol import record_lines as kinds
from ..protocol.items import Message
from ..protocol.verbatim_json import whole_text
from ..text.truncation import run_parts_of, whole
from .output_store import run_of
from .record import BAD_LINE, StoredLine, open_record, stored_lines
from .runs import TurnHead

T = TypeVar("T")

FORMAT = 0x696B0001
"""The format of the file, in its `user_version`. It is negative without FTS5."""

MAX_SEARCHED_CHARS = 200_000
"""Most characters of one line that are searched: most from its start, the rest from its end."""

MAX_QUERY_WORDS, MAX_QUERY_CHARS, CONTEXT_CHARS = 16, 1_000, 240
"""Most words and characters of a query, and most characters shown around a match."""

MAX_RANKED, MAX_LOOKED_AT = 500, 100
"""Most matches that are ranked. If there are more, the latest come first. Once there are enough
hits, most matches that are grouped."""

LOCK_SECONDS = 1.0
"""Seconds to wait while another process writes the file."""

_BATCH, _MARKED = 500, 4_096
"""Rows written at once. Bytes at both ends of the indexed part that identify a record."""

_PREFIX = re.compile(r"\w{2,}\W*$")
"""The end of a last word that may be the start of a longer one. One letter is too short."""

_ESCAPED = str.maketrans({sign: f"\\{sign}" for sign in "%_\\"})

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
_WORDS = """CREATE VIRTUAL TABLE words USING fts5(text, content='entry', content_rowid='at',
    prefix='2 3 4', tokenize="unicode61 tokenchars '_'")"""
_ROW = "at, kind, handle, whose, turn, cell, counter, gone"
_MATCHES = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?"
_RANK = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words), rowid DESC"
_TAKE_BACK = "UPDATE entry SET gone = 1 WHERE kind IN ('said', 'answer') AND turn >= ?"
_SNIPPETS = """SELECT rowid, snippet(words, 0, char(2), char(3), '…', 24) FROM words
    WHERE words MATCH ? AND rowid >= ? AND +rowid IN"""


class Row(NamedTuple):
    """One line of the record: a cell run, a prompt, an answer, or a text that was kept.

    `at`: the byte it begins at. `whose`: who made a run. `counter`: its cell's In [counter].
    `gone`: it was taken back. `text`: to be searched. It is returned only for a kept text.
    """

    at: int
    kind: Literal["run", "said", "answer", "text"]
    handle: str
    whose: str
    turn: int
    cell: str | None
    counter: int | None
    gone: bool
    text: str = ""


class Hit(NamedTuple):
    """A row that was found, and the text around the match in one line.

    `also`: handles of other rows in the same group that match.
    """

    row: Row
    snippet: str
    also: tuple[str, ...] = ()


Group = Callable[[Row], str | None]
"""Returns the group of a row, such as its cell. A group is one hit. None hides the row."""


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
        """At most `most` groups with all words of a query, or else with any, the best first."""
        words = list(dict.fromkeys(_sound(query)[:MAX_QUERY_CHARS].split()))[:MAX_QUERY_WORDS]
        return self._ask(lambda db: _search(db, words, group, most)) if words else []

    def turns(self) -> list[TurnHead]:
        """All turns in order, without their prompts. Turns that were taken back are included."""
        sql = "SELECT turn, '', cell, counter FROM entry WHERE kind = 'said' ORDER BY at"
        return self._ask(lambda db: [TurnHead(*found) for found in db.execute(sql)])

    def spoken(self, turn: int) -> list[Row]:
        """The prompt of a turn, and its answers."""
        sql = f"SELECT {_ROW} FROM entry WHERE kind IN ('said', 'answer') AND turn = ? ORDER BY at"
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
        if row is not None:
            rows.append(row)
            turn = row.turn if row.kind == "said" else turn
        rewound = isinstance(line, kinds.RewindLine)
        if len(rows) == _BATCH or rewound:
            _add(db, rows)
        if rewound:
            db.execute(_TAKE_BACK, (line.turn,))
    _add(db, rows)
    if _form(db) == FORMAT:
        words = "INSERT INTO words(rowid, text) SELECT at, text FROM entry WHERE at >= ?"
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


def _sound(text: str) -> str:
    """The searched part of a text: its start, where a source is, and its end, where an error is.

    SQLite cannot take lone surrogates, nor NUL, which would end the text. So they are replaced.
    """
    if len(text) > MAX_SEARCHED_CHARS:
        text = f"{text[: MAX_SEARCHED_CHARS * 3 // 4]}\n{text[-MAX_SEARCHED_CHARS // 4 :]}"
    return whole_text(text.replace("\0", " "))


def _search(db: sqlite3.Connection, words: Sequence[str], group: Group, most: int) -> list[Hit]:
    for match, found in _steps(db, words):
        if groups := _grouped(db, found, group, most):
            texts = _snippets(db, match, [rows[0].at for rows in groups], words)
            told = zip(groups, texts, strict=True)
            return [Hit(rows[0], text, tuple(it.handle for it in rows[1:])) for rows, text in told]
    return []


def _steps(db: sqlite3.Connection, words: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    """Rows with all the words, then with any, then with the words anywhere, also within a word.

    Each step is an FTS5 expression, or "", and the rows, the best first. The words are quoted, so
    that none is an operator. Signs within a word split it into tokens.
    """
    fts5 = _form(db) == FORMAT
    if fts5:
        phrases = [f'"{word.replace(chr(34), chr(34) * 2)}"' for word in words]
        phrases[-1] += "*" if _PREFIX.search(words[-1]) else ""
        yield " ".join(phrases), _ranked(db, " ".join(phrases))
        if rarest := " OR ".join(_rarest(db, phrases)):
            yield rarest, _ranked(db, rarest)
    yield "", _containing(db, words, " AND ")
    if not fts5:
        yield "", _containing(db, words, " OR ")


def _ranked(db: sqlite3.Connection, match: str) -> list[int]:
    """The rows that match, the best first. If there are too many to rank, the latest first."""
    found = _column(db, _MATCHES, match, MAX_RANKED + 1)
    return found[:MAX_RANKED] if len(found) > MAX_RANKED else _column(db, _RANK, match)


def _rarest(db: sqlite3.Connection, phrases: Sequence[str]) -> Iterator[str]:
    """The rarest phrases, whose matches together can be ranked. So no phrase drowns another."""
    counts = ((len(_column(db, _MATCHES, phrase, MAX_RANKED + 1)), phrase) for phrase in phrases)
    left = MAX_RANKED
    for count, phrase in sorted(it for it in counts if it[0]):
        if count <= left or left == MAX_RANKED:
            yield phrase
        left -= count


def _containing(db: sqlite3.Connection, words: Sequence[str], operator: str) -> list[int]:
    """Rows with the words anywhere in them, the latest first."""
    like = operator.join(["text LIKE ? ESCAPE '\\'"] * len(words))
    sql = f"SELECT at FROM entry WHERE {like} ORDER BY at DESC LIMIT {MAX_RANKED}"
    return _column(db, sql, *(f"%{word.translate(_ESCAPED)}%" for word in words))


def _column(db: sqlite3.Connection, sql: str, *values: str | int) -> list[Any]:
    return [value for (value,) in db.execute(sql, values)]


def _grouped(
    db: sqlite3.Connection, found: Sequence[int], group: Group, most: int
) -> list[list[Row]]:
    """The rows to show, by group, in order."""
    groups: dict[str, list[Row]] = {}
    sql = f"SELECT {_ROW}, CASE kind WHEN 'text' THEN text ELSE '' END FROM entry WHERE at = ?"
    for number, at in enumerate(found):
        if number >= MAX_LOOKED_AT and len(groups) >= most:
            break
        row = Row(*db.execute(sql, (at,)).fetchone())
        if (name := group(row)) is not None:
            groups.setdefault(name, []).append(row)
    return list(groups.values())[:most]


def _snippets(
    db: sqlite3.Connection, match: str, places: Sequence[int], words: Sequence[str]
) -> list[str]:
    """The text around a match in each row, in one line."""
    among = f"({', '.join(map(str, places))})"
    if match:  # one query for all, because the beginning of many words takes long to find
        texts = dict(db.execute(_SNIPPETS + among, (match, min(places))))
        return [_around(texts[at], texts[at].find("\2")) for at in places]
    texts = dict(db.execute(f"SELECT at, text FROM entry WHERE at IN {among}"))
    there = re.compile("|".join(map(re.escape, words)), re.IGNORECASE)
    return [
        _around(text, it.start() if (it := there.search(text)) else 0)
        for text in map(texts.__getitem__, places)
    ]


def _around(text: str, at: int) -> str:
    start, end = max(0, at - CONTEXT_CHARS // 3), max(0, at - CONTEXT_CHARS // 3) + CONTEXT_CHARS
    around = " ".join(re.sub("[\2\3]", "", text[start:end]).split())
    return f"{'…' if start else ''}{around}{'…' if end < len(text) else ''}"
