"""The search index beside a session's record: SQLite FTS5, rebuilt from it when it is missing.

A copy, that may go at any time. Knows no tool, no live session, and not what a person hides.
"""

import os
import re
import sqlite3
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Literal, NamedTuple, TypeVar

from ..errors import RecordError
from ..protocol import record_lines as kinds
from ..protocol.items import Message
from ..text.truncation import run_parts_of, whole
from .output_store import run_of
from .record import BAD_LINE, stored_line
from .runs import TurnHead

T = TypeVar("T")

FORMAT = 0x696B0001
"""Of the file, in its `user_version`; negative where there is no FTS5."""

MAX_SEARCHED_CHARS = 200_000
"""Most characters of one line of the record that are searched: most of its start, and its end."""

MAX_QUERY_WORDS, MAX_QUERY_CHARS, CONTEXT_CHARS = 16, 1_000, 240
"""Most words and characters of a query, and most characters around a match that are shown."""

MAX_RANKED, MAX_LOOKED_AT = 500, 100
"""Most matches that are ranked; more are given as they are, the latest first. With enough hits,
most that are looked at for what they are part of."""

LOCK_SECONDS = 1.0
"""Seconds to wait for another process that writes the file."""

_BATCH, _MARKED = 500, 4_096
"""Rows written at once; bytes at both ends of what was read by which a record is known again."""

_PREFIX = re.compile(r"\w{2,}\W*$")
"""The end of a last word that may be the start of a longer one. Of one letter, that is anything."""

_ESCAPED = str.maketrans({sign: f"\\{sign}" for sign in "%_\\"})

_SPOILED = {
    *(0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT),
    *(sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT),
}
"""Errors of a file that may be cured by making it anew; others are of where it lies."""

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
    """One line of the record: a cell run, what was said, an answer to it, or a text that was kept.

    `at`: the byte it begins at. `whose`: of a run, who ran it. `counter`: its cell's In [counter].
    `gone`: it was taken back. `text`: what is searched; given back only of a text that was kept.
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
    """What was found, and what stands around the match, in one line.

    `also`: handles of others of the same group that match.
    """

    row: Row
    snippet: str
    also: tuple[str, ...] = ()


Group = Callable[[Row], str | None]
"""What a row is part of, such as a cell: one hit tells of all its rows. None: it is not shown."""


class Index:
    """Finds words in a record. May be asked in any thread; calls beside each other take turns.

    All methods first read what is new in the record, and raise RecordError when they cannot.
    """

    def __init__(self, record: Path) -> None:
        """Nothing is made or read yet. The file has the record's name, with `.sqlite3`."""
        self.file = record.with_suffix(".sqlite3")
        self._record = record
        self._lock = Lock()
        self._memory: sqlite3.Connection | None = None

    def search(self, query: str, group: Group, most: int) -> list[Hit]:
        """At most `most` groups that have all words of a query, or else any; the best first."""
        words = list(dict.fromkeys(_sound(query)[:MAX_QUERY_CHARS].split()))[:MAX_QUERY_WORDS]
        return self._ask(lambda db: _search(db, words, group, most)) if words else []

    def turns(self) -> list[TurnHead]:
        """All turns, in order, those that were taken back among them; without what was said."""
        sql = "SELECT turn, '', cell, counter FROM entry WHERE kind = 'said' ORDER BY at"
        return self._ask(lambda db: [TurnHead(*found) for found in db.execute(sql)])

    def spoken(self, turn: int) -> list[Row]:
        """What was said in a turn, and the answers."""
        sql = f"SELECT {_ROW} FROM entry WHERE kind IN ('said', 'answer') AND turn = ? ORDER BY at"
        return self._ask(lambda db: [Row(*found) for found in db.execute(sql, (turn,))])

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the file; where there can be none, a copy in memory, for as long as this lives."""
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
        for end in ("", "-journal", "-wal", "-shm"):  # a journal left would be played into the new
            self.file.with_name(self.file.name + end).unlink(missing_ok=True)
        return self._ask_once(question)

    def _ask_once(self, question: Callable[[sqlite3.Connection], T]) -> T:
        os.close(os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would ask the umask
        with closing(_connect(str(self.file))) as db:
            return _answer(db, self._record, question)


def _connect(to: str) -> sqlite3.Connection:
    return sqlite3.connect(to, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)


def _answer(db: sqlite3.Connection, record: Path, question: Callable[[sqlite3.Connection], T]) -> T:
    # A killed kernel loses nothing by this; after a power cut the file may be made anew.
    db.execute("PRAGMA synchronous = OFF")
    _catch_up(db, record)
    with db:  # one state of the file throughout
        db.execute("BEGIN")
        return question(db)


def _catch_up(db: sqlite3.Connection, record: Path) -> None:
    """Read what is new in the record; all of it, when what was read is not the start of it."""
    try:
        with record.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            if _read_upto(db, file, end) == end:
                return
            with db:
                db.execute("BEGIN IMMEDIATE")
                at = _read_upto(db, file, end)  # again: another may have been here
                if at is None:
                    _begin(db)
                at = _take(db, record, at or 0)
                db.execute("UPDATE upto SET at = ?, mark = ?", (at, _mark(file, at)))
    except OSError as error:
        raise RecordError(f"{record} cannot be read: {error.strerror}.") from None


def _read_upto(db: sqlite3.Connection, file: BinaryIO, end: int) -> int | None:
    """Up to which byte the record was read; None when it was another, or in another format."""
    form = _form(db)
    if abs(form) != FORMAT or (form < 0 and has_fts5(db)):
        return None
    at, mark = db.execute("SELECT at, mark FROM upto").fetchone()
    return at if at <= end and mark == _mark(file, at) else None


def _form(db: sqlite3.Connection) -> int:
    return db.execute("PRAGMA user_version").fetchone()[0]


def has_fts5(db: sqlite3.Connection) -> bool:
    """This SQLite was built with FTS5."""
    try:
        db.execute("CREATE VIRTUAL TABLE temp.probe USING fts5(text)")
    except sqlite3.OperationalError:
        return False
    db.execute("DROP TABLE temp.probe")
    return True


def _begin(db: sqlite3.Connection) -> None:
    """Empty tables, whatever was there."""
    fts5 = has_fts5(db)
    for statement in (*_TABLES, *([_WORDS] if fts5 else [])):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {FORMAT if fts5 else -FORMAT}")


def _mark(file: BinaryIO, at: int) -> bytes:
    """By which the first `at` bytes of a record are known again."""
    file.seek(0)
    head = file.read(min(at, _MARKED))
    file.seek(max(at - _MARKED, 0))
    return blake2b(head + file.read(min(at, _MARKED)), digest_size=16).digest()


def _take(db: sqlite3.Connection, record: Path, start: int) -> int:
    """Take in the record from byte `start` on; up to which byte it was read."""
    at, rows = start, list[Row]()
    turn = db.execute("SELECT max(turn) FROM entry WHERE kind = 'said'").fetchone()[0] or 0
    for at, text in _lines_from(record, start):
        try:
            line = stored_line(at, text).line()
            row = _row(at, line, turn)
            rewound = line.turn if isinstance(line, kinds.RewindLine) else None
        except BAD_LINE as error:
            raise RecordError(f"{record}, byte {at}: not a line of a session record.") from error
        at += len(text)
        if row is not None:
            rows.append(row)
            turn = row.turn if row.kind == "said" else turn
        if len(rows) == _BATCH or rewound is not None:
            _add(db, rows)
        if rewound is not None:
            db.execute(_TAKE_BACK, (rewound,))
    _add(db, rows)
    if _form(db) == FORMAT:
        words = "INSERT INTO words(rowid, text) SELECT at, text FROM entry WHERE at >= ?"
        db.execute(words, (start,))
    return at


def _lines_from(record: Path, at: int) -> Iterator[tuple[int, bytes]]:
    """The lines from byte `at` on, and where each begins. One without a line end is still torn."""
    with record.open("rb") as file:
        file.seek(at)
        for text in file:
            if text.endswith(b"\n"):
                yield at, text
            at += len(text)


def _add(db: sqlite3.Connection, rows: list[Row]) -> None:
    db.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    rows.clear()


def _row(at: int, line: kinds.RecordLine, turn: int) -> Row | None:
    """The row of a line that is searched; `turn`: the last before it."""
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
    """As much of a text as is searched: a source stands at the start of it, an error at the end.

    Without what SQLite cannot take: lone surrogates, and NUL, which would end the text.
    """
    if len(text) > MAX_SEARCHED_CHARS:
        text = f"{text[: MAX_SEARCHED_CHARS * 3 // 4]}\n{text[-MAX_SEARCHED_CHARS // 4 :]}"
    return text.replace("\0", " ").encode(errors="replace").decode()


def _search(db: sqlite3.Connection, words: Sequence[str], group: Group, most: int) -> list[Hit]:
    for match, found in _steps(db, words):
        if groups := _grouped(db, found, group, most):
            texts = _snippets(db, match, [rows[0].at for rows in groups], words)
            told = zip(groups, texts, strict=True)
            return [Hit(rows[0], text, tuple(it.handle for it in rows[1:])) for rows, text in told]
    return []


def _steps(db: sqlite3.Connection, words: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    """What has all the words, then any; then what holds them anywhere, also within a word.

    An FTS5 expression, if it is one that finds, and rows, the best first. In quotes nothing is an
    operator; what is in a word and no part of a token parts its tokens.
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
    """The rows it finds, the best first. Words that are in very many tell nothing of any."""
    found = _column(db, _MATCHES, match, MAX_RANKED + 1)
    return found[:MAX_RANKED] if len(found) > MAX_RANKED else _column(db, _RANK, match)


def _rarest(db: sqlite3.Connection, phrases: Sequence[str]) -> Iterator[str]:
    """The rarest of them: as many as find no more than is ranked, so that none drowns another."""
    counts = ((len(_column(db, _MATCHES, phrase, MAX_RANKED + 1)), phrase) for phrase in phrases)
    left = MAX_RANKED
    for count, phrase in sorted(it for it in counts if it[0]):
        if count <= left or left == MAX_RANKED:
            yield phrase
        left -= count


def _containing(db: sqlite3.Connection, words: Sequence[str], operator: str) -> list[int]:
    """Rows that hold the words anywhere, the latest first."""
    like = operator.join(["text LIKE ? ESCAPE '\\'"] * len(words))
    sql = f"SELECT at FROM entry WHERE {like} ORDER BY at DESC LIMIT {MAX_RANKED}"
    return _column(db, sql, *(f"%{word.translate(_ESCAPED)}%" for word in words))


def _column(db: sqlite3.Connection, sql: str, *values: str | int) -> list[Any]:
    return [value for (value,) in db.execute(sql, values)]


def _grouped(
    db: sqlite3.Connection, found: Sequence[int], group: Group, most: int
) -> list[list[Row]]:
    """The rows that are shown, by group, in order."""
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
    """What stands around a match in each row, in one line."""
    among = f"({', '.join(map(str, places))})"
    if match:  # once for all: a beginning of many words takes long to find
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
