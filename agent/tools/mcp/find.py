"""Finds tools by words, among more than a request should list. Knows no server.

The words of a query, their other forms and their weights are those of `search/words`.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from ...printable import printable
from ...protocol.verbatim_json import whole_text
from ...search.words import Word, spread, words_of

if TYPE_CHECKING:
    from sqlite3 import Connection

MAX_TOOLS_FOUND = 8
"""Most tools of one answer, unless more are asked for."""
MAX_TOLD_CHARS = 300
"""Most characters of a description."""

_TABLES = (
    "CREATE VIRTUAL TABLE names USING fts5(name, content='', tokenize='porter unicode61')",
    """CREATE VIRTUAL TABLE texts USING fts5(server, arguments, description, content='',
    tokenize='porter unicode61')""",
)
_ADD_NAME = "INSERT INTO names(rowid, name) VALUES (?, ?)"
_ADD_TEXTS = "INSERT INTO texts(rowid, server, arguments, description) VALUES (?, ?, ?, ?)"
_RANK = """SELECT rowid, -2 * bm25(names) FROM names WHERE names MATCH ?1 UNION ALL
    SELECT rowid, -bm25(texts, 3, 1, 1) FROM texts WHERE texts MATCH ?1"""
"""A word in the name is worth twice as much as elsewhere, however long the description is."""


class ToolRow(NamedTuple):
    """A tool to be found. `call`: how code calls it, such as `agent_tools.git.log`.

    `signature`: its parameters as Python writes them. `arguments`: their names.
    """

    server: str
    tool: str
    call: str
    signature: str
    description: str
    arguments: tuple[str, ...] = ()


def best_tools(
    rows: Iterable[ToolRow], query: str, server: str = "", limit: int = MAX_TOOLS_FOUND
) -> list[ToolRow]:
    """At most `limit` tools that fit a query, the best first; of equal ones, by server and name.

    `server`: only tools of this one. A query without words finds all of them.
    """
    asked = sorted(row for row in rows if server in ("", row.server))
    words = words_of(whole_text(query.replace("\0", " ")))
    if not words:
        return asked
    scores = _scores(asked, words)
    best = sorted(scores, key=lambda at: (-scores[at], at))
    return [asked[at] for at in best[: max(limit, 0)]]


def listing(
    rows: Iterable[ToolRow], query: str, server: str = "", limit: int = MAX_TOOLS_FOUND
) -> str:
    """The tools that fit a query as the model reads them: how each is called, and its purpose.

    Without a query, the names alone.
    """
    found = best_tools(rows, query, server, limit)
    if not found:
        return "No tool fits. Use other words, or give a server and no query to list its tools."
    if not query.strip():
        return "\n".join(row.call for row in found)
    return "\n".join(f"await {row.call}({row.signature})\n    {_purpose(row)}" for row in found)


def _scores(rows: Sequence[ToolRow], words: Sequence[Word]) -> dict[int, float]:
    """For each place among the rows that fits: the sum of what its words are worth there."""
    try:
        import sqlite3  # which some builds of Python lack
    except ImportError:
        return _scanned(rows, words)
    with closing(sqlite3.connect(":memory:")) as db:
        try:
            db.executescript(";".join(_TABLES))
        except sqlite3.OperationalError:  # it lacks FTS5
            return _scanned(rows, words)
        for at, (name, *texts) in enumerate(map(_columns, rows)):
            db.execute(_ADD_NAME, (at, name))
            db.execute(_ADD_TEXTS, (at, *texts))
        total: dict[int, float] = {}
        for word in words:
            for at, worth in _best_form(db, word).items():
                total[at] = total.get(at, 0.0) + worth
        return total


def _best_form(db: "Connection", word: Word) -> dict[int, float]:
    """For each row that has a word in some form, the worth of the best one."""
    best: dict[int, float] = {}
    for form in word.forms:
        found: dict[int, float] = {}
        for at, rank in db.execute(_RANK, (form.match,)):
            found[at] = found.get(at, 0.0) + form.worth * rank
        best |= {at: max(worth, best.get(at, 0.0)) for at, worth in found.items()}
    return best


def _scanned(rows: Sequence[ToolRow], words: Sequence[Word]) -> dict[int, float]:
    """The same by a plain scan: the number of words that a row has, those in its name first."""
    total: dict[int, float] = {}
    for at, row in enumerate(rows):
        name, *others = (column.lower() for column in _columns(row))
        text = " ".join(others)
        asked = [word.text.lower() for word in words]
        if score := sum(2 * (it in name) + (it in text) for it in asked):
            total[at] = float(score)
    return total


def _columns(row: ToolRow) -> tuple[str, str, str, str]:
    texts = (row.tool, row.server, " ".join(row.arguments), row.description)
    name, server, arguments, description = (spread(_sound(text)) for text in texts)
    return name, server, arguments, description


def _sound(text: str) -> str:
    return whole_text(text.replace("\0", " "))


def _purpose(row: ToolRow) -> str:
    text = " ".join(printable(row.description).split())
    return text if len(text) <= MAX_TOLD_CHARS else f"{text[:MAX_TOLD_CHARS]}…"
