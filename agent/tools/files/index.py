"""The search index of a folder: SQLite FTS5 in the person's cache folder. Knows no reader.

It is a copy, which you may delete at any time. Several kernels may use it at once.
"""

import json
import os
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple

from .passages import passages
from .places import DocumentPlace, PlacedText
from .readers.kinds import document_kind
from .scan import SeenFile

INDEX_FORMAT = 1
"""The format of the file, in its `user_version`. Another one is made anew."""
INDEX_LOCK_SECONDS = 20.0
"""How long to wait while another process writes."""
_TABLES = """
CREATE TABLE file(
    id INTEGER PRIMARY KEY, path TEXT UNIQUE, changed INT, size INT, kind TEXT, error TEXT);
CREATE TABLE passage(
    id INTEGER PRIMARY KEY, file INT, place TEXT, start INT, until INT, head TEXT, body TEXT);
CREATE INDEX passage_file ON passage(file);
CREATE VIRTUAL TABLE words USING fts5(head, body, content=passage, content_rowid=id,
    tokenize='porter unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE letters USING fts5(body, content=passage, content_rowid=id,
    tokenize='trigram');
CREATE TRIGGER added AFTER INSERT ON passage BEGIN
    INSERT INTO words(rowid, head, body) VALUES (new.id, new.head, new.body);
    INSERT INTO letters(rowid, body) SELECT new.id, new.body WHERE has_other_letters(new.body);
END;
CREATE TRIGGER removed AFTER DELETE ON passage BEGIN
    INSERT INTO words(words, rowid, head, body) VALUES ('delete', old.id, old.head, old.body);
    INSERT INTO letters(letters, rowid, body)
        SELECT 'delete', old.id, old.body WHERE has_other_letters(old.body);
END;
"""
_RANKS = {"words": "-bm25(words, 2.0, 1.0)", "letters": "-bm25(letters)", "part": "0.0"}
_FROM = {
    "words": "words JOIN passage ON passage.id = words.rowid",
    "letters": "letters JOIN passage ON passage.id = letters.rowid",
    "part": "passage",
}
_FINDS = {"words": "words MATCH ?", "letters": "letters MATCH ?", "part": "instr(body, ?)"}
_ADD = "INSERT INTO passage(file, place, start, until, head, body) VALUES (?, ?, ?, ?, ?, ?)"


class IndexQuery(NamedTuple):
    """A question to the index. `words` and `letters` are in the language of FTS5. A `part` is text
    of a passage, which takes a look at all of them."""

    how: Literal["words", "letters", "part"]
    query: str


class IndexedPassage(NamedTuple):
    """A passage that was found. `rank`: the higher the better, of one query alone."""

    id: int
    path: str
    place: DocumentPlace
    start: int
    end: int
    text: str
    rank: float


class Among(NamedTuple):
    """The files among which is searched. `glob`: of their paths. `kind`: as `KINDS` names it."""

    glob: str = ""
    kind: str = ""


class NoSearchError(Exception):
    """This Python cannot search. The message says why."""


def index_path(folder: Path, cache: Path) -> Path:
    """The file of a folder's index, in a cache folder."""
    name = blake2b(os.fsencode(folder), digest_size=10).hexdigest()
    return cache / "files" / f"{name}.sqlite3"


@contextmanager
def opened_index(path: Path) -> Generator[sqlite3.Connection]:
    """The index, made if it is not there or of another format. Raises NoSearchError, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
    with closing(sqlite3.connect(path, timeout=INDEX_LOCK_SECONDS, isolation_level=None)) as db:
        db.create_function("has_other_letters", 1, has_other_letters, deterministic=True)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        if db.execute("PRAGMA user_version").fetchone()[0] != INDEX_FORMAT:
            _begin(db)
        yield db


def _begin(db: sqlite3.Connection) -> None:
    with writing(db):
        if db.execute("PRAGMA user_version").fetchone()[0] == INDEX_FORMAT:
            return
        for table in ("words", "letters", "passage", "file"):
            db.execute(f"DROP TABLE IF EXISTS {table}")
        try:
            for statement in _statements(_TABLES):
                db.execute(statement)
        except sqlite3.OperationalError as error:
            raise NoSearchError(f"This Python's SQLite cannot search texts: {error}.") from None
        db.execute(f"PRAGMA user_version = {INDEX_FORMAT}")


def _statements(text: str) -> Iterator[str]:
    statement = ""
    for line in text.splitlines():
        statement += f"{line}\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def writing(db: sqlite3.Connection) -> Generator[None]:
    """A transaction that writes. It is taken back if something is raised."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def differences(
    db: sqlite3.Connection, files: Sequence[SeenFile]
) -> tuple[list[SeenFile], list[str]]:
    """The files that are new or changed, and the paths of those that are gone."""
    known = {it[0]: it[1:] for it in db.execute("SELECT path, changed, size FROM file")}
    there = {it.path for it in files}
    new = [it for it in files if known.get(it.path) != (it.changed, it.size)]
    return new, [path for path in known if path not in there]


def forget_files(db: sqlite3.Connection, paths: Iterable[str]) -> None:
    """Take files out of the index."""
    with writing(db):
        for path in paths:
            _remove(db, path)


def put_file(
    db: sqlite3.Connection, file: SeenFile, texts: Iterable[PlacedText], error: str = ""
) -> None:
    """Put a file into the index in place of its earlier state. `error`: why it has no text."""
    rows = [
        (_kept(text.place), it.start, it.end, _head(file.path, text.place), it.text)
        for text in texts
        for it in passages(text.text)
    ]
    said = error or ("" if rows else "it has no text (a scan?)")
    with writing(db):
        _remove(db, file.path)
        added = db.execute(
            "INSERT INTO file(path, changed, size, kind, error) VALUES (?, ?, ?, ?, ?)",
            (*file, document_kind(file.path), said),
        )
        db.executemany(_ADD, ((added.lastrowid, *row) for row in rows))


def unreadable(db: sqlite3.Connection) -> dict[str, str]:
    """The files that have no text in the index, and why."""
    rows = db.execute("SELECT path, error FROM file WHERE error != '' ORDER BY path")
    return {path: error for path, error in rows}


def matches(
    db: sqlite3.Connection, asked: IndexQuery, among: Among, most: int
) -> list[IndexedPassage]:
    """The passages that a question finds, the best first."""
    sql = f"""SELECT passage.id, path, place, start, until, passage.body,
        {_RANKS[asked.how]} AS rank FROM {_FROM[asked.how]} JOIN file ON file.id = passage.file
        WHERE {_FINDS[asked.how]} AND (? = '' OR path GLOB ?) AND (? = '' OR kind = ?)
        ORDER BY rank DESC, passage.id LIMIT ?"""
    given = (asked.query, among.glob, among.glob, among.kind, among.kind, most)
    found = db.execute(sql, given)
    return [
        IndexedPassage(id, path, _read(place), start, end, body, rank)
        for id, path, place, start, end, body, rank in found
    ]


def has_other_letters(text: str) -> bool:
    """Whether a text has letters of a script that is written without blanks between words."""
    return any("\u2e80" <= it <= "\ud7ff" or "\u0e00" <= it <= "\u0eff" for it in text)


def _remove(db: sqlite3.Connection, path: str) -> None:
    found = db.execute("SELECT id FROM file WHERE path = ?", (path,)).fetchone()
    if found:
        db.execute("DELETE FROM passage WHERE file = ?", found)
        db.execute("DELETE FROM file WHERE id = ?", found)


def _head(path: str, place: DocumentPlace) -> str:
    """The words of a file's name, and of the headings or the sheet around a passage."""
    name = Path(path).stem.replace("-", " ").replace("_", " ")
    return f"{name} {place.name}" if place.kind != "page" else name


def _kept(place: DocumentPlace) -> str:
    return json.dumps([place.kind, place.number, place.last, place.name])


def _read(kept: str) -> DocumentPlace:
    kind, number, last, name = json.loads(kept)
    return DocumentPlace(kind, number, last, name)
